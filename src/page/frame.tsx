// The frame of every page: one file that works without a network, and that runs no script.
import type { ComponentChildren } from 'preact';
import { renderToString } from 'preact-render-to-string';
import { style } from './style.ts';

/** Nothing is fetched and nothing runs: pictures are in the page. */
const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/** A page as HTML. Text in it is escaped, whoever wrote it. */
export function renderPage(title: string, body: ComponentChildren): string {
  const page = (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content={POLICY} />
        <title>{title}</title>
        <style dangerouslySetInnerHTML={{ __html: style }} />
      </head>
      <body>
        <main>{body}</main>
      </body>
    </html>
  );
  return `<!doctype html>\n${renderToString(page)}\n`;
}

/** Props of `Chart`. */
export interface ChartProps {
  readonly title: string;
  /** SVG of one of the functions in charts.ts. */
  readonly svg: string;
  readonly legend?: readonly LegendEntry[];
  readonly children?: ComponentChildren;
}

/** A name and its colour. */
export interface LegendEntry {
  readonly name: string;
  readonly colour: string;
}

/** A chart with its title, its legend, and words under it. */
export function Chart({ title, svg, legend = [], children }: ChartProps) {
  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      {legend.length > 1 && (
        <ul class="legend">
          {legend.map(({ name, colour }) => (
            <li key={name}>
              <i style={{ background: colour }} />
              {name}
            </li>
          ))}
        </ul>
      )}
      <div role="img" aria-label={title} dangerouslySetInnerHTML={{ __html: svg }} />
      {children}
    </figure>
  );
}
