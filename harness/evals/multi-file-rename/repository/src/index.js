export { fetchUser as default, fetchUser } from './api.js';
export * as page from './page.js';
