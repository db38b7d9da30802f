// Installs what /input/package.json asks for into /app/site and writes that as a
// tar to standard output. What npm says goes to standard error.
const { spawnSync } = require('child_process')
const fs = require('fs')
const path = require('path')

const site = '/app/site', tmp = '/app/tmp'
const [registry, given] = process.argv.slice(2)

// find answers npm: the program that was given, else the environment's own.
function find() {
  const dirs = (process.env.PATH || '').split(':').filter((d) => d.startsWith('/'))
  for (const file of given ? [given] : dirs.map((d) => path.join(d, 'npm'))) {
    try {
      return fs.realpathSync(file)
    } catch {}
  }
}

function install(npm) {
  const env = { PATH: process.env.PATH, LANG: 'C.UTF-8', HOME: tmp, TMPDIR: tmp } // no settings of an image
  const args = ['install', '--prefix', site, '--registry', registry, '--ignore-scripts', '--no-audit', '--no-fund', '--omit=dev',
    '--no-update-notifier', '--no-progress', '--color=false', '--loglevel=warn', '--cache', path.join(tmp, 'cache'),
    '--userconfig', path.join(tmp, 'user'), '--globalconfig', path.join(tmp, 'global'), '--package-lock', '--lockfile-version=3',
    '--omit-lockfile-registry-resolved=false', '--replace-registry-host=npmjs', '--maxsockets=8', '--fetch-retries=1',
    '--fetch-retry-mintimeout=1000', '--fetch-timeout=300000']
  const command = npm.endsWith('.js') ? [process.execPath, npm] : [npm]
  const end = spawnSync(command[0], [...command.slice(1), ...args], { cwd: site, env, stdio: ['ignore', 2, 2] })
  if (end.error) console.error('npm error ' + end.error.message)
  if (end.signal) console.error('npm error npm was ended by ' + end.signal)
  return end.status === 0
}

// write writes all of a buffer.
function write(buffer) {
  for (let at = 0; at < buffer.length;) {
    try {
      at += fs.writeSync(1, buffer, at)
    } catch (e) {
      if (e.code !== 'EAGAIN') throw e
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }
}

function pad(size) {
  write(Buffer.alloc((512 - (size % 512)) % 512))
}

// header writes the header of one entry.
function header(type, name, mode, size, link) {
  const h = Buffer.alloc(512)
  const octal = (n, at, width) => h.write(n.toString(8).padStart(width - 1, '0'), at, 'latin1')
  h.write(name, 0, 100)
  octal(mode, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(size, 124, 12)
  octal(0, 136, 12)
  h.write('        ' + type, 148, 'latin1')
  h.write(link, 157, 100)
  h.write('ustar\x0000', 257, 'latin1')
  octal(h.reduce((a, b) => a + b), 148, 7)
  write(h)
}

// entry writes a header, and one before it for names that do not fit.
function entry(type, name, mode, size, link = '') {
  let more = ''
  for (const [key, value] of [['path', name], ['linkpath', link]]) {
    if (Buffer.byteLength(value) <= 99 && /^[\x20-\x7e]*$/.test(value)) continue
    const text = ` ${key}=${value}\n`
    let length = Buffer.byteLength(text)
    while (String(length).length + Buffer.byteLength(text) !== length) length = String(length).length + Buffer.byteLength(text)
    more += length + text
  }
  if (more) {
    const data = Buffer.from(more)
    header('x', 'pax', 0o644, data.length, '')
    write(data)
    pad(data.length)
  }
  header(type, name, mode, size, link)
}

function pack(name) {
  const at = path.join(site, name)
  const info = fs.lstatSync(at)
  if (info.isSymbolicLink()) return entry('2', name, 0o777, 0, fs.readlinkSync(at))
  if (info.isFile()) {
    const data = fs.readFileSync(at)
    entry('0', name, info.mode & 0o777, data.length)
    write(data)
    return pad(data.length)
  }
  if (!info.isDirectory()) return
  entry('5', name + '/', 0o755, 0)
  for (const base of fs.readdirSync(at).sort()) pack(path.join(name, base))
}

fs.mkdirSync(site)
fs.mkdirSync(tmp)
fs.copyFileSync('/input/package.json', path.join(site, 'package.json'))
const npm = find()
if (!npm) {
  console.error('tako: this environment has no npm')
  process.exit(97)
}
if (!install(npm)) process.exit(96)
fs.rmSync(tmp, { recursive: true, force: true })
pack('node_modules')
pack('package-lock.json')
write(Buffer.alloc(1024))
