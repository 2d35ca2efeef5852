// Loaded into configurable-http-proxy before its own code: a line of its log that cannot be written,
// on a full disk, is lost. Otherwise its logger would wait for that line, and no request would be
// answered any more.
const { writeSync } = require('node:fs');

for (const stream of [process.stdout, process.stderr]) {
  stream.write = (text, encoding, done) => {
    try {
      writeSync(stream.fd, text);
    } catch {
      // There is nobody to tell.
    }
    const told = typeof encoding === 'function' ? encoding : done;
    if (told) {
      process.nextTick(told);
    }
    return true;
  };
}
