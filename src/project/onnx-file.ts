// The ONNX file of a trained network: pixels in, probabilities out, with what a program needs to know in its metadata.
import { writeOnnx } from '../onnx/write.ts';
import { buildClassifierGraph } from '../zoo/graphs.ts';
import { PROVENANCE_KEY } from './provenance.ts';
import type { TrainedNetwork } from './trained-run.ts';

/**
 * The bytes of the file: `image`, uint8 [N, size, size, 3] in RGB, to `probabilities` [N, classes]. Normalisation is inside.
 * metadata_props: `labels` (a JSON list in the order of the probabilities), `input` and `normalization` in words, and the
 * provenance under `graft`.
 */
export function buildOnnx({ backbone, head, provenance }: TrainedNetwork): Uint8Array {
  const { size, mean, std } = backbone.preprocess;
  const metadata = {
    labels: JSON.stringify(provenance.classes),
    input: `image: uint8 [N, ${size}, ${size}, 3], pixels 0..255 in RGB, the whole picture squashed to ${size} x ${size}`,
    normalization: `inside the graph: (image / 255 - [${mean.join(', ')}]) / [${std.join(', ')}]`,
    [PROVENANCE_KEY]: JSON.stringify(provenance),
  };
  return writeOnnx(buildClassifierGraph(backbone, head, 'uint8', metadata));
}
