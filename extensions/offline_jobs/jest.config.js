/* Jest for the logic of dialog and panel; Lab's ES modules are compiled on the way in. */

const esModules = [
  '@codemirror',
  '@jupyter',
  '@jupyterlab',
  '@lezer',
  '@lumino',
  '@marijn',
  '@microsoft',
  'exenv-es6',
  'lib0',
  'style-mod',
  'w3c-keyname',
  'y-protocols',
  'yjs'
].join('|');

module.exports = {
  testEnvironment: 'jsdom',
  testMatch: ['<rootDir>/src/__tests__/**/*.spec.ts'],
  transform: {
    '\\.(ts|tsx|js)$': [
      'ts-jest',
      { tsconfig: '<rootDir>/tsconfig.jest.json', diagnostics: false }
    ]
  },
  transformIgnorePatterns: [`/node_modules/(?!(${esModules})/)`],
  moduleFileExtensions: ['ts', 'tsx', 'js', 'json'],
  moduleNameMapper: {
    '\\.css$': '<rootDir>/src/__tests__/empty.ts',
    '\\.svg$': '<rootDir>/src/__tests__/picture.ts'
  },
  setupFiles: ['<rootDir>/src/__tests__/setup.ts']
};
