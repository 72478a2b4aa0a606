// The words for what the API names: one place, so that every view says the same.

export const CHANNELS = {
  in_app: 'In the app', push: 'Push', web_push: 'Web Push', email: 'Mail', webhook: 'Webhook',
};
export const LANES = {
  ios: 'iOS', android: 'Android', web: 'Browsers', mail: 'Mail', hook: 'Webhooks', webhook: 'Webhooks',
};
export const PHASES = {
  dead: 'given up', failed: 'address is dead', standby: 'stands by', merged: 'sent with others', dropped: 'not sent',
};

export const spaced = (word) => word.replaceAll('_', ' ');
export const number = (value) => value.toLocaleString();
export const counted = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

// A person by name, or else by the id that the app gave, or Nova's.
export const called = (person) => person.name || person.external_id || person.id;
