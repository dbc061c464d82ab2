import { runsProgram } from './python.ts'

runsProgram('iam.py')
