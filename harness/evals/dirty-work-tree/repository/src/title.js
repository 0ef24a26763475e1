export const title = (text) => text.trim();
