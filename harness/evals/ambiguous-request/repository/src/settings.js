export const settings = {
  connectTimeout: 1500,
  readTimeout: 10000,
  sessionTimeout: 900000,
  watchdog: 15000,
};
