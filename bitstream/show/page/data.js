// Arrays from the server, or out of this very page, kept up to a bounded size.
"use strict";

const ARRAYS = {
  u1: Uint8Array,
  i1: Int8Array,
  u2: Uint16Array,
  i2: Int16Array,
  u4: Uint32Array,
  i4: Int32Array,
  f4: Float32Array,
  f8: Float64Array,
};

/** What pack.py wrote: {meta, arrays: {name: {data, shape}}}. */
function unpack(buffer) {
  const start = 4 + new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, start - 4)));
  const arrays = {};
  for (const [name, kind, shape, place] of head.arrays) {
    const count = shape.reduce((a, b) => a * b, 1);
    arrays[name] = { data: new ARRAYS[kind](buffer, start + place, count), shape };
  }
  return { meta: head.meta, arrays };
}

class Store {
  constructor() {
    this.kept = new Map(); // address -> {arrays, size}, the least recently used first
    this.asked = new Map(); // address -> promise
    this.bytes = 0;
    this.most = 320 * 2 ** 20;
  }

  async about() {
    const inside = document.getElementById("about");
    this.inside = inside !== null;
    return inside ? JSON.parse(inside.textContent) : (await this.ask("about")).json();
  }

  async ask(address) {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(await answer.text());
    return answer;
  }

  /** One answer of the server; null where a page without server does not have it. */
  async bytesOf(address) {
    if (!this.inside) return (await this.ask(address)).arrayBuffer();
    const element = document.getElementById(address.replaceAll("/", "-"));
    if (!element) return null;
    const packed = Uint8Array.from(atob(element.textContent), (c) => c.charCodeAt(0));
    const plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(plain).arrayBuffer();
  }

  async read(address) {
    const buffer = await this.bytesOf(address);
    return buffer ? unpack(buffer) : { meta: {}, arrays: {} };
  }

  /** The arrays of a frame if they are here already. */
  here(file, index, group) {
    const found = this.kept.get(`frame/${file}/${index}/${group}`);
    return found ? found.arrays : null;
  }

  frame(file, index, group) {
    const address = `frame/${file}/${index}/${group}`;
    const found = this.kept.get(address);
    if (found) {
      this.kept.delete(address);
      this.kept.set(address, found);
      return Promise.resolve(found.arrays);
    }
    if (!this.asked.has(address)) {
      const promise = this.read(address).then(({ arrays }) => this.keep(address, arrays));
      this.asked.set(address, promise);
      promise.catch(() => {}).finally(() => this.asked.delete(address));
    }
    return this.asked.get(address);
  }

  keep(address, arrays) {
    const size = Object.values(arrays).reduce((sum, a) => sum + a.data.byteLength, 1000);
    this.kept.set(address, { arrays, size });
    this.bytes += size;
    for (const [old, { size: freed }] of this.kept) {
      if (this.bytes <= this.most || old === address) break;
      this.kept.delete(old);
      this.bytes -= freed;
    }
    return arrays;
  }
}
