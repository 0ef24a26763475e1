export type Load<V> = (key: string) => Promise<V>;
export type Clock = () => number;

type Entry<V> = { value: V; until: number };

/** Remembers what was loaded, by key, for a while. */
export class Cache<V> {
  private readonly entries = new Map<string, Entry<V>>();
  private readonly loading = new Map<string, Promise<V>>();
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
    const under = this.loading.get(key);
    if (under) return under;
    const loading = this.fetch(key).finally(() => this.loading.delete(key));
    this.loading.set(key, loading);
    return loading;
  }

  private async fetch(key: string): Promise<V> {
    this.entries.delete(key);
    const value = await this.load(key);
    this.entries.set(key, { value, until: this.now() + this.lifetime });
    return value;
  }
}
