/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Idle workers that leave for good: ulib/pool/resize.c:pulse__worker_retire, with
 * the searching and waking of wake.c around it.
 *
 * shows: no task is left behind when workers leave, as long as one stays
 * case three: two workers, three that submit
 * twin no_look: who leaves does not look at the queues
 * twin look_early: ... looks while it still counts as a searcher
 * twin all_go: the last one may leave too
 *
 * Two workers, of which one has to stay. Each may sleep for as long as an idle
 * one may (its deadline passes) as often as OUTS says. The bound on searchers is
 * left to chance: a worker that may search does or does not. When nothing can
 * move any more ("timeout"), no task may be left. Tasks are done at once, but
 * for the first that each worker gets in CASE_three and the twin no_chain: it
 * lasts for ever, so that others have to come for the rest.
 */
#ifdef CASE_three
#define SUBMITS	3
#else
#define SUBMITS	2
#endif
#define OUTS	2

byte ring;				/* queued */
byte search, grant;			/* the two halves of pool->search */
bool idle[2];				/* park word PARKING, and the idle bit */
bool woken[2];				/* NOTIFIED */
byte live = 2;
byte outs = OUTS;

/* pulse__wake_set, nr = 1 */
inline wake_one(got)
{
	atomic {
		if
		:: idle[0] -> idle[0] = false; woken[0] = true; got = true
		:: !idle[0] && idle[1] ->
			idle[1] = false; woken[1] = true; got = true
		:: else
		fi
	}
}

/* wake.c:pulse__pool_notify, after a full barrier */
inline notify(got)
{
	if
	:: idle[0] || idle[1] ->
		if
		:: search == 0 ->
			atomic {
				if
				:: search == 0 -> search++; grant++; got = true
				:: else
				fi
			};
			if
			:: got ->
				got = false;
				wake_one(got);
				if
				:: got -> got = false
				:: else ->	/* pulse__grants_return */
					atomic {
						if
						:: grant > 0 -> grant--; search--
						:: else
						fi
					};
					if
					:: ring > 0 -> wake_one(got); got = false
					:: else
					fi
				fi
			:: else
			fi
		:: else
		fi
	:: else
	fi
}

proctype worker(byte me)
{
	bool searching, idle_out, got;

look:	if
	:: atomic { ring > 0 -> ring-- };
		idle_out = false;
		if
		:: searching ->		/* pulse__search_found */
			searching = false;
			atomic { got = (search == 1); search-- };
			if
			:: got ->
				got = false;
				if
				:: ring > 0 -> notify(got)
				:: else
				fi
			:: else
			fi
		:: else
		fi;
		goto look
	:: ring == 0
	fi;
	if
	:: !searching && search == 0 ->	/* pulse__search_begin */
		search++;
		searching = true;
		goto look
	:: !searching
	:: searching
	fi;
#ifdef TWIN_look_early
	if
	:: idle_out && ring == 0 -> got = true
	:: else
	fi;
#endif
	if
	:: searching -> searching = false; search--	/* _nothing */
	:: else
	fi;
	if
	:: idle_out ->			/* pulse__worker_retire */
		idle_out = false;
		atomic {
			if
#ifdef TWIN_all_go
			:: live > 0 -> live--
#else
			:: live > 1 -> live--
#endif
			:: else -> goto park
			fi
		};
#if defined(TWIN_no_look)
		goto gone;
#elif defined(TWIN_look_early)
		if
		:: got -> goto gone
		:: else -> live++
		fi;
#else
		if
		:: ring == 0 -> goto gone
		:: else -> live++
		fi;
#endif
	:: else
	fi;
park:	got = false;
	idle[me] = true;		/* (B) */
	if
	:: ring > 0 ->			/* pulse__recheck */
		atomic {
			if
			:: idle[me] -> idle[me] = false
			:: else -> woken[me] = false
			fi
		}
	:: ring == 0 ->
end:		if
		:: atomic { woken[me] -> woken[me] = false }
		:: atomic { idle[me] && outs > 0 && live > 1 ->
			idle[me] = false; outs--; idle_out = true }
		fi
	fi;
	atomic {			/* pulse__search_enter */
		if
		:: grant > 0 -> grant--
		:: else -> search++
		fi;
		searching = true
	};
	goto look;
gone:	skip
}

proctype submitter()
{
	bool got;

	ring++;				/* then (A) */
	notify(got)
}

init
{
	byte i;

	atomic {
		run worker(0);
		run worker(1);
		do
		:: i < SUBMITS -> run submitter(); i++
		:: else -> break
		od
	}
	timeout;
	assert(ring == 0)
}
