export type Load<V> = (key: string) => Promise<V>;
export type Clock = () => number;

type Entry<V> = { value: Promise<V>; until: number };

/** Remembers what was loaded, by key, for a while. */
export class Cache<V> {
  private readonly entries = new Map<string, Entry<V>>();
  private readonly load: Load<V>;
  private readonly lifetime: number;
  private readonly now: Clock;

  constructor(load: Load<V>, lifetime: number, now: Clock = Date.now) {
    this.load = load;
    this.lifetime = lifetime;
    this.now = now;
  }

  async get(key: string): Promise<V> {
    const found = this.entries.get(key);
    if (found && found.until > this.now()) return found.value;
    const settled = await Promise.allSettled([this.load(key)]);
    const value = settled[0].status === 'fulfilled' ? Promise.resolve(settled[0].value) : Promise.reject(settled[0].reason);
    value.catch(() => {});
    this.entries.set(key, { value, until: this.now() + this.lifetime });
    return value;
  }
}
