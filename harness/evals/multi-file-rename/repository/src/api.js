const PEOPLE = new Map([[1, { id: 1, name: 'Ada' }], [2, { id: 2, name: 'Grace' }]]);

/** Fetches a person; see also prefetchUsers. */
export async function fetchUser(id) {
  const person = PEOPLE.get(id);
  if (!person) throw new Error(`fetchUser: there is no person ${id}`);
  return person;
}

export async function prefetchUsers(ids) {
  return Promise.all(ids.map((id) => fetchUser(id)));
}
