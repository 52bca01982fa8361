// How every page looks: light and dark, on a phone, on paper.

/** Colours of series in charts, by number: apart for all common kinds of colour vision (Okabe and Ito 2008, lightened for the dark). */
export const seriesColours = ['var(--c0)', 'var(--c1)', 'var(--c2)', 'var(--c3)', 'var(--c4)', 'var(--c5)'] as const;

/** The style sheet. */
export const style = `
:root { color-scheme: light dark; --ink: #1f2328; --soft: #57606a; --paper: #ffffff; --pane: #f5f7f9; --line: #d5dae0;
  --good: #00745a; --bad: #b3400b; --link: #0b5cad;
  --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #b3589a; --c4: #8a6d00; --c5: #56757f; }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa6b2; --paper: #0f1419; --pane: #1a2129;
  --line: #343d47; --good: #4cc9a4; --bad: #ff9a5c; --link: #79b8ff;
  --c0: #5db4e5; --c1: #f39a4a; --c2: #4cc9a4; --c3: #d99bc6; --c4: #d9bd4a; --c5: #9fb8c0; } }
* { box-sizing: border-box; }
html { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; -webkit-text-size-adjust: 100%; }
body { margin: 0; color: var(--ink); background: var(--paper); }
main { max-width: 64rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
p { margin: .5rem 0; max-width: 46rem; }
a { color: var(--link); }
.soft { color: var(--soft); }
.good { color: var(--good); }
.bad { color: var(--bad); }
.lead { font-size: 1.1rem; }
.note { border-left: 4px solid var(--bad); padding: .25rem .75rem; background: var(--pane); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .5rem 0; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line); }
td { white-space: nowrap; }
th { font-weight: 600; color: var(--soft); }
tbody th, th:first-child, td:first-child { text-align: left; color: var(--ink); }
tbody th { min-width: 6rem; overflow-wrap: anywhere; }
.matrix td { text-align: center; min-width: 3.5rem; }
.matrix td a { display: block; text-decoration: none; color: inherit; padding: .25rem; border-radius: .25rem; }
.matrix td a:hover, .matrix td a:focus { outline: 2px solid var(--link); }
.matrix small { display: block; }
.matrix .right { background: color-mix(in srgb, var(--good) calc(var(--part) * 45%), transparent); }
.matrix .wrong { background: color-mix(in srgb, var(--bad) calc(12% + var(--part) * 40%), transparent); }
.cell { display: none; background: var(--pane); padding: .5rem .75rem; border-radius: .5rem; scroll-margin-top: 40vh; }
.cell:target { display: block; }
.photos { display: grid; grid-template-columns: repeat(auto-fill, minmax(7rem, 1fr)); gap: .75rem; margin: .75rem 0; }
.pairs { grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); }
figure { margin: 0; font-size: .8rem; overflow-wrap: anywhere; break-inside: avoid; }
figure img { width: 100%; height: auto; display: block; border-radius: .25rem; background: var(--pane); }
.pairs .two { display: grid; grid-template-columns: 1fr 1fr; gap: .25rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 1.5rem; }
.chart svg { max-width: 100%; height: auto; background: none; overflow: visible; --plot-background: var(--paper); }
.chart figcaption { font-weight: 600; font-size: .95rem; margin-bottom: .25rem; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1rem; font-size: .85rem; list-style: none; padding: 0; margin: .25rem 0; }
.legend i { display: inline-block; width: .9em; height: .9em; border-radius: .15em; margin-right: .35em; vertical-align: -.1em; }
pre { background: var(--pane); padding: .75rem; border-radius: .5rem; overflow-x: auto; font-size: .85rem; }
dl { display: grid; grid-template-columns: minmax(8rem, max-content) 1fr; gap: .25rem 1rem; margin: .5rem 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 30rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .5rem; } th, td { padding: .25rem .35rem; font-size: .85rem; } }
@media print { :root { color-scheme: light; } .screen { display: none; } .matrix td, .legend i { print-color-adjust: exact;
  -webkit-print-color-adjust: exact; } main { max-width: none; padding: 0; } .cell { display: none !important; }
  .wide { overflow: visible; } pre { white-space: pre-wrap; overflow-wrap: anywhere; } h2, h3 { break-after: avoid; } .charts, table, pre { break-inside: avoid; } a { color: inherit; text-decoration: none; } }
`;
