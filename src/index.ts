// graft as a library: one async function per verb, which yields typed events and ends with its result.
//
//   import { finish, train } from 'graft';
//   const result = await finish(train({ data: './leaves' }), event => console.log(event));

export { type ErrorCode, GraftError } from './base/errors.ts';
export {
  finish,
  type NoteEvent,
  type ProgressEvent,
  type ResultEvent,
  type ResumableEvent,
  type VerbEvent,
} from './base/events.ts';
export type { Figures, ProbabilityFigures } from './evaluate/figures.ts';
export type { Metrics } from './evaluate/metrics.ts';
export type { Rejection, RejectRule } from './evaluate/rejection.ts';
export { type BenchmarkedModel, type BenchmarkOptions, type BenchmarkResult, benchmark } from './project/benchmark.ts';
export {
  type ComparedModel,
  type ComparedPair,
  type CompareOptions,
  type CompareResult,
  compare,
} from './project/compare.ts';
export { type DemoOptions, type DemoResult, demo } from './project/demo.ts';
export { type ExplainedPhoto, type ExplainOptions, type ExplainResult, explain } from './project/explain.ts';
export { type ExportedFile, type ExportOptions, type ExportRunResult, exportRun } from './project/export.ts';
export { type FindLrOptions, type FindLrResult, findLr } from './project/find-lr.ts';
export { type InspectOptions, type InspectResult, inspect } from './project/inspect.ts';
export { type ListedModel, type ModelsOptions, type ModelsResult, models } from './project/models.ts';
export { type Prediction, type PredictOptions, type PredictResult, predict, type Unread } from './project/predict.ts';
export { type ReportOptions, type ReportResult, report } from './project/report.ts';
export { type FineTuningResult, type TrainResult, type TrainSeconds, train } from './project/train.ts';
export type { TrainOptions } from './project/train-options.ts';
export { type ValOptions, type ValResult, val } from './project/val.ts';
