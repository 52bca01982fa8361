// Text of strangers in SVG pictures: cleaned, cut to a width, escaped.

/** Fonts without a download, the likelier ones first. */
export const FONT = 'DejaVu Sans, Liberation Sans, Arial, Helvetica, sans-serif';

/** Characters that XML 1.0 forbids (controls, lone surrogates, U+FFFE/F), and the bidirectional overrides. */
const FORBIDDEN =
  /[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]|[\u{7F}-\u{9F}\u{202A}-\u{202E}\u{2066}-\u{2069}]/gu;

/** Width of a character in ems, on the wide side of common sans-serif fonts. */
function charWidth(char: string): number {
  const code = char.codePointAt(0)!;
  if (code >= 0x1100) return 1.05;
  if (/[MWmw@%]/.test(char)) return 1;
  if (/[A-Z]/.test(char)) return 0.78;
  return /[ijlftr.,:;'|!() -]/.test(char) ? 0.42 : 0.62;
}

/** Text for SVG: one line, forbidden characters shown as U+FFFD, cut with an ellipsis to `width` pixels, escaped. */
export function fitText(text: string, width: number, fontSize: number): string {
  const clean = text.slice(0, 1000).replace(FORBIDDEN, '\u{FFFD}').replace(/\s+/g, ' ').trim();
  const room = width / fontSize;
  let used = 0;
  let kept = '';
  for (const char of clean) {
    used += charWidth(char);
    if (used > room) {
      kept = `${[...kept].slice(0, -1).join('')}…`;
      break;
    }
    kept += char;
  }
  return kept.replace(/[&<>"']/g, char => `&#${char.charCodeAt(0)};`);
}
