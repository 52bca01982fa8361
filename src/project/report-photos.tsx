// The sections of the report that show photos: the confusion matrix with the photos of each cell, mistakes and examples.
import { percent } from './number-words.ts';

/** A photo and what is said of it. */
export interface ShownPhoto {
  readonly name: string;
  readonly truth: number;
  readonly said: number;
  readonly probability: number;
  /** Whether the model is sure enough of it. */
  readonly isKnown: boolean;
  readonly classes: readonly string[];
  /** Data URI; undefined where there was no room. */
  readonly picture: string | undefined;
}

/** A photo with its heat-map. */
export interface ShownExample extends ShownPhoto {
  readonly map: string | undefined;
}

/** Most classes of which the whole matrix is drawn; of more, so many of the pairs that are confused most. */
const MAX_CLASSES = 30;
const MAX_PAIRS = 50;

const cellId = (truth: number, said: number) => `cell-${truth}-${said}`;

/** Rows are the truth, columns what the model said; a click shows the photos of a cell. */
export function ConfusionSection({
  classes,
  confusion,
  photos,
  leftOut,
}: {
  readonly classes: readonly string[];
  readonly confusion: readonly (readonly number[])[];
  readonly photos: readonly ShownPhoto[];
  readonly leftOut: number;
}) {
  const cells = confusion.flatMap((row, truth) =>
    row.flatMap((count, said) => (count > 0 ? [{ truth, said, count }] : [])),
  );
  const listed = classes.length > MAX_CLASSES;
  const confused = cells.filter(({ truth, said }) => truth !== said).sort((a, b) => b.count - a.count);
  return (
    <section>
      <h2 id="confusion">What is taken for what</h2>
      <p>
        {listed
          ? 'The pairs that are confused most.'
          : 'Rows are what is in the photo, columns what the model says; percent of the row.'}{' '}
        <span class="screen">A click on a number shows its photos.</span>
        {leftOut > 0 && ` ${leftOut} photos are counted and not shown, for the size of this page.`}
      </p>
      <div class="wide">
        {listed ? (
          <table>
            <thead>
              <tr>
                <th scope="col">is</th>
                <th scope="col">said</th>
                <th scope="col">photos</th>
              </tr>
            </thead>
            <tbody>
              {confused.slice(0, MAX_PAIRS).map(({ truth, said, count }) => (
                <tr key={cellId(truth, said)}>
                  <th scope="row">{classes[truth]}</th>
                  <td>{classes[said]}</td>
                  <td>
                    <a href={`#${cellId(truth, said)}`}>{count}</a>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        ) : (
          <Matrix classes={classes} confusion={confusion} />
        )}
      </div>
      {(listed ? confused.slice(0, MAX_PAIRS) : cells).map(({ truth, said, count }) => {
        const shown = photos.filter(photo => photo.truth === truth && photo.said === said && photo.picture);
        return (
          <div class="cell" id={cellId(truth, said)} key={cellId(truth, said)}>
            <h3>
              {truth === said ? `${classes[truth]}, rightly` : `${classes[truth]}, taken for ${classes[said]}`}
              {shown.length < count && `: ${shown.length} of ${count}`} <a href="#confusion">close</a>
            </h3>
            <div class="photos">
              {shown.map(photo => (
                <Photo photo={photo} key={photo.name} />
              ))}
            </div>
          </div>
        );
      })}
    </section>
  );
}

function Matrix({
  classes,
  confusion,
}: {
  readonly classes: readonly string[];
  readonly confusion: readonly (readonly number[])[];
}) {
  return (
    <table class="matrix">
      <thead>
        <tr>
          <td />
          {classes.map(name => (
            <th scope="col" key={name}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {confusion.map((row, truth) => {
          const total = row.reduce((sum, count) => sum + count, 0);
          return (
            <tr key={classes[truth]}>
              <th scope="row">{classes[truth]}</th>
              {row.map((count, said) => {
                const part = total === 0 ? 0 : count / total;
                return (
                  <td
                    key={classes[said]}
                    class={count === 0 ? undefined : truth === said ? 'right' : 'wrong'}
                    style={{ '--part': part.toFixed(3) }}
                  >
                    {count === 0 ? (
                      <span class="soft">0</span>
                    ) : (
                      <a href={`#${cellId(truth, said)}`} title={`${classes[truth]}: ${classes[said]}`}>
                        {count}
                        <small>{percent(part)}</small>
                      </a>
                    )}
                  </td>
                );
              })}
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function Photo({ photo }: { readonly photo: ShownPhoto }) {
  return (
    <figure>
      <img src={photo.picture} alt={photo.name} loading="lazy" />
      <figcaption>
        {percent(photo.probability)} <span class="soft">{photo.name}</span>
      </figcaption>
    </figure>
  );
}

/** Photos with their heat-maps. */
export function ExamplesSection({
  title,
  about,
  nothing,
  examples,
}: {
  readonly title: string;
  readonly about: string;
  readonly nothing: string;
  readonly examples: readonly ShownExample[];
}) {
  return (
    <section>
      <h2>{title}</h2>
      <p>{examples.length > 0 ? about : nothing}</p>
      <div class="photos pairs">
        {examples.map(example => (
          <figure key={example.name}>
            <div class="two">
              {example.picture && <img src={example.picture} alt={example.name} loading="lazy" />}
              {example.map && <img src={example.map} alt={`where the model looks in ${example.name}`} loading="lazy" />}
            </div>
            <figcaption>
              {example.said === example.truth ? (
                <b class="good">{example.classes[example.said]}</b>
              ) : (
                <>
                  <b class="bad">says {example.classes[example.said]}</b>, is {example.classes[example.truth]}
                </>
              )}
              , {percent(example.probability)}
              {!example.isKnown && ' (below the threshold: unknown)'} <span class="soft">{example.name}</span>
            </figcaption>
          </figure>
        ))}
      </div>
    </section>
  );
}
