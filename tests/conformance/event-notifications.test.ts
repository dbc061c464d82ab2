import { runsProgram } from './python.ts'

runsProgram('event_notifications.py')
