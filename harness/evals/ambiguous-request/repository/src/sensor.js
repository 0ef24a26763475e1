import { settings } from './settings.js';

export const options = () => ({ connect: settings.connectTimeout, read: settings.readTimeout, watchdog: settings.watchdog });
