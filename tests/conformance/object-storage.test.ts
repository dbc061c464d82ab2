import { runsProgram } from './python.ts'

runsProgram('object_storage.py')
