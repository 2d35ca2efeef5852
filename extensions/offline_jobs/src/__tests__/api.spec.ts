import type { ServerConnection } from '@jupyterlab/services';

import { requestAPI } from '../api';

/** Settings whose server gives one answer to everything. */
function answering(status: number, body: string): ServerConnection.ISettings {
  return {
    baseUrl: 'http://localhost/',
    init: {},
    token: '',
    Request: class {
      readonly headers = new Map<string, string>();
    },
    fetch: async () => ({
      ok: false,
      status,
      statusText: 'Some Words',
      json: async () => JSON.parse(body) as unknown
    })
  } as unknown as ServerConnection.ISettings;
}

it.each([
  [424, '<html>', /Jupyter server does not answer/],
  [503, '<html>', /Jupyter server does not answer/],
  [403, '{"message": null}', /log in again/],
  [413, '<html>', /too large/],
  [418, '<html>', /The server answered 418 Some Words/],
  [503, '{"code": "x", "message": "ours"}', /^ours$/]
])('says in words what %i with %s means', async (status, body, words) => {
  await expect(
    requestAPI('jobs', {}, answering(status, body))
  ).rejects.toMatchObject({ message: expect.stringMatching(words) as string });
});
