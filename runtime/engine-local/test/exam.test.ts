import { engineExam } from '@everleaf/engine/exam'
import { openSetting } from './setting.ts'

engineExam('local', () => openSetting('auto'))
engineExam('local, as plain processes', async () => ({
  ...(await openSetting('plain')),
  without: { mounts: 'a plain process has no mounts of its own' },
}))
