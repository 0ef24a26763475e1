// At most this many rules apply to one order; staff is never limited.
export const settings = { most: process.env.SHOP_MOST_RULES ? Number(process.env.SHOP_MOST_RULES) : 2, disabled: ['bulk'] };
