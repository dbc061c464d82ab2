import { runsProgram } from './python.ts'

runsProgram('resource_controller.py')
