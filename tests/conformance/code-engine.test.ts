import { runsProgram } from './python.ts'

runsProgram('code_engine.py')
