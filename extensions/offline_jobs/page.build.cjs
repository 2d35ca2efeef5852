// Bundles the script of the hub's page, from what TypeScript made of `src/page`, with the bundler that
// builds the Lab extension.

const path = require('path');
const { rspack } = require('@rspack/core');

const compiler = rspack({
    context: __dirname,
    mode: 'production',
    target: ['web', 'es2018'],
    entry: './lib/page/index.js',
    output: {
        path: path.join(__dirname, 'offline_jobs', 'service', 'web', 'built'),
        filename: 'page.js'
    },
    // Numbers in the order of use, so that each checkout builds the same file.
    optimization: { moduleIds: 'natural' }
});

compiler.run((error, stats) => {
    if (error || stats.hasErrors()) {
        process.stderr.write(`${error ?? stats.toString('errors-only')}\n`);
        process.exitCode = 1;
    }
    compiler.close(() => undefined);
});
