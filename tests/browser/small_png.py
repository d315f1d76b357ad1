"""Makes a screenshot small: at most 256 colours, packed as well as PNG can. The browser itself does it."""

import base64

from playwright.sync_api import Page

SHRINK = """async (source) => {
  const image = new Image();
  image.src = `data:image/png;base64,${source}`;
  await image.decode();
  const { width, height } = image;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, width, height).data;

  // Coarser and coarser colours, until they are few enough to be numbered in a byte.
  const number = (coarse) => {
    const numbers = new Map(), colours = [], rows = new Uint8Array((width + 1) * height);
    const round = (value) => Math.min(255, Math.round(value / coarse) * coarse);
    for (let at = 0, out = 0; at < pixels.length; at += 4) {
      if ((at / 4) % width === 0) rows[out++] = 0;
      const exact = [pixels[at], pixels[at + 1], pixels[at + 2]], colour = exact.map(round);
      const key = (colour[0] << 16) | (colour[1] << 8) | colour[2];
      if (!numbers.has(key)) {
        if (numbers.size === 256) return null;
        numbers.set(key, numbers.size);
        // The first colour met stands for all that round alike, so that flat areas keep theirs.
        colours.push(...exact);
      }
      rows[out++] = numbers.get(key);
    }
    return { rows, colours };
  };
  let coarse = 1, numbered;
  while (!(numbered = number(coarse))) coarse += 1;

  const table = Uint32Array.from({ length: 256 }, (_, n) => {
    for (let bit = 0; bit < 8; bit += 1) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
    return n;
  });
  const chunk = (name, data) => {
    const bytes = new Uint8Array(12 + data.length), view = new DataView(bytes.buffer);
    view.setUint32(0, data.length);
    bytes.set(new TextEncoder().encode(name), 4);
    bytes.set(data, 8);
    let check = 0xffffffff;
    const said = bytes.subarray(4, 8 + data.length);
    for (const byte of said) check = table[(check ^ byte) & 255] ^ (check >>> 8);
    view.setUint32(8 + data.length, check ^ 0xffffffff);
    return bytes;
  };
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8);
  header.setUint8(9, 3);
  const deflate = new CompressionStream("deflate");
  const packed = new Response(new Blob([numbered.rows]).stream().pipeThrough(deflate));
  const parts = [
    Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10),
    chunk("IHDR", new Uint8Array(header.buffer)),
    chunk("PLTE", Uint8Array.from(numbered.colours)),
    chunk("IDAT", new Uint8Array(await packed.arrayBuffer())),
    chunk("IEND", new Uint8Array()),
  ];
  const reader = new FileReader();
  return new Promise((resolve) => {
    reader.onload = () => resolve(reader.result.split(",")[1]);
    reader.readAsDataURL(new Blob(parts));
  });
}"""


def shrunk(png: bytes, blank: Page) -> bytes:
    """Return the same picture in fewer colours.

    Args:
        blank: An empty page to work in.
    """
    return base64.b64decode(blank.evaluate(SHRINK, base64.b64encode(png).decode()))
