const rules = [];

export function register(name, rule) {
  rules.push({ name, ...rule });
}

/** Rules in the order in which they are tried. */
export const all = () => [...rules].sort((a, b) => b.order - a.order);
