// Whether node_modules holds what package-lock.json asks for. npm writes node_modules/.package-lock.json when an install is complete.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * @typedef {object} Package
 * @property {string} [version]
 * @property {string} [integrity]
 * @property {boolean} [dev]
 * @property {readonly string[]} [os]
 * @property {readonly string[]} [cpu]
 * @property {readonly string[]} [libc]
 */
/** @typedef {Readonly<Record<string, Package>>} Packages */
/** @typedef {{ readonly os: string, readonly cpu: string, readonly libc: string }} Platform */

/** @returns {Platform} */
export function thisPlatform() {
  const report = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (process.report.getReport())
  return {
    os: process.platform,
    cpu: process.arch,
    libc: report.header.glibcVersionRuntime === undefined ? 'musl' : 'glibc',
  }
}

/**
 * @param {Package} entry
 * @param {Platform} platform
 */
const fits = ({ os, cpu, libc }, platform) =>
  (os?.includes(platform.os) ?? true) &&
  (cpu?.includes(platform.cpu) ?? true) &&
  (libc?.includes(platform.libc) ?? true)

/**
 * The folders of packages that are wanted and not installed as the lock file says.
 * @param {Packages} wanted
 * @param {Packages} installed
 * @param {Platform} platform
 * @param {(folder: string) => boolean} isThere
 * @returns {readonly string[]}
 */
export function missingPackages(wanted, installed, platform, isThere) {
  return Object.entries(wanted)
    .filter(([folder, entry]) => folder !== '' && fits(entry, platform))
    .filter(([folder, { version, integrity }]) => {
      const found = installed[folder]
      return found?.version !== version || found?.integrity !== integrity || !isThere(folder)
    })
    .map(([folder]) => folder)
}

/**
 * @param {string} file
 * @returns {Packages}
 */
function packagesOf(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : {}
}

/**
 * Why npm ci is needed in this clone, or undefined.
 * @param {string} top
 */
export function reasonToInstall(top) {
  const installed = packagesOf(join(top, 'node_modules/.package-lock.json'))
  if (Object.keys(installed).length === 0) return 'its packages are not installed yet'
  const missing = missingPackages(packagesOf(join(top, 'package-lock.json')), installed, thisPlatform(), (folder) =>
    existsSync(join(top, folder, 'package.json')),
  )
  return missing.length === 0 ? undefined : `its packages are not those of package-lock.json (${missing[0]})`
}
