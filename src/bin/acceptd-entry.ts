// The first lines of acceptd that run: signals are held from here on, and everything else is loaded after.

import '../edge/signals.ts'

void import('./acceptd.ts')
