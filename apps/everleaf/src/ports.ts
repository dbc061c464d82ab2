/** What `run/ports.json` says: how every other command finds the platform. */
export type PortsFile = {
  readonly pid: number
  readonly listen: string
  readonly public: number
  readonly private: number
  readonly front: number
  readonly api: number
  /** The platform's own address where its port 443 could be had; null: IBM's fixed names do not work in instances. */
  readonly fixedNames: string | null
  readonly domain: string
  readonly region: string
}
