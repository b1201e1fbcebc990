/** Stands for a database in this example of `tenant-limit.mjs`: messages that a tenant may send in a window. */
const messages = new Map([
  ['small', 60],
  ['large', 6000],
]);

export default async function messagesOf(tenant) {
  return messages.get(tenant);
}
