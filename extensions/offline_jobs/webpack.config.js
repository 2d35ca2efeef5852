// What is added to the builder's own configuration. Numbers in the order of use: the default ones
// come from absolute paths, so that each checkout would build another file, and another image.
module.exports = { optimization: { moduleIds: 'natural' } };
