// The platform in a mount namespace of its own, in which one folder is a disk of a few MiB: EVERLEAF_TEST_SMALL_DISK is its size and the folder.
import { join } from 'node:path'

const MOUNT = 'size=$1; folder=$2; shift 2; mount -t tmpfs -o "size=$size,mode=0700" none "$folder" && exec "$@"'
const [size = '', folder = ''] = (process.env.EVERLEAF_TEST_SMALL_DISK ?? '').split(' ')
const platform = [process.execPath, join(import.meta.dirname, '../../apps/everleaf/src/main.ts'), ...process.argv.slice(2)]
process.execve?.('/bin/sh', ['sh', '-c', 'exec unshare --user --map-root-user --mount sh -c "$@"', 'sh', MOUNT, 'sh', size, folder, ...platform])
