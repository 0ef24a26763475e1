export const title = (text) => text.trim().normalize('NFC');
