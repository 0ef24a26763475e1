import { fetchUser, prefetchUsers } from './api.js';

export async function title(id) {
  return `About ${(await fetchUser(id)).name}`;
}

export async function index(ids) {
  return (await prefetchUsers(ids)).map((person) => person.name).join(', ');
}
