# Writes test/fixtures/reference/event-file.json: an event file of TensorBoard's own classes, with what is in it.
# A resumed run: version, start of the session, three steps. All events have one time, which the test sets as well.
"""python3 make_event_file.py OUT.json"""
import base64
import io
import sys

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from write_json import write_json

MILLISECONDS = 1767225600250
FIRST_STEP = 300
STEPS = [
    (300, {"loss/train": 0.6931471805599453, "loss/validation": 1.5}),
    (301, {"accuracy/\u00e4": 0.0, "rate": -1e-30}),
    (2**40, {"large": 1.7e38}),
]


def main(path):
    file = io.BytesIO()
    writer = RecordWriter(file)
    seconds = MILLISECONDS / 1000
    writer.write(Event(wall_time=seconds, file_version="brain.Event:2").SerializeToString())
    start = SessionLog(status=SessionLog.START)
    writer.write(Event(wall_time=seconds, step=FIRST_STEP, session_log=start).SerializeToString())
    for step, values in STEPS:
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
        writer.write(Event(wall_time=seconds, step=step, summary=summary).SerializeToString())
    steps = [{"step": step, "values": values} for step, values in STEPS]
    content = {"milliseconds": MILLISECONDS, "firstStep": FIRST_STEP, "steps": steps}
    write_json(path, {**content, "file": base64.b64encode(file.getvalue()).decode()}, 17)


main(sys.argv[1])
