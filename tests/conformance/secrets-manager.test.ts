import { runsProgram } from './python.ts'

runsProgram('secrets_manager.py')
