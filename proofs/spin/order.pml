// SPDX-License-Identifier: GPL-2.0
/*
 * The global order, step by step, with senders that die in the middle of a send.
 *
 * Multicasts go to both queues, one in each direction; one thread sends a unicast to queue 0 and
 * then one to queue 1; each queue has a reader that sleeps when there is nothing to read. An inbox
 * lock is held over several steps where others write the record meanwhile, and is one step where
 * nobody could notice. Nobody dies with a lock held: it is a spinlock.
 *
 * The clock is any that is monotonic: a reading may equal the one before. Who waits for the clock
 * moves it on, so that the wait has an end.
 *
 * Checked at the end of all runs (`timeout`): what its sender has announced was read, whoever died;
 * nobody sleeps on something to read; the order of both queues has no cycle, with "returned before
 * the other began" as well. With LIVE: each unicast that was queued is read at last (fairness).
 *
 * Names of mutations, -D on spin's command line, each of which must be found:
 *   NO_PUSH EQUAL_IS_ABOVE COMMIT_FORGETS NO_PASS NO_SETTLE NO_TIME EARLY_SLEEP BLOCKING LATE_WAKE
 */

#ifndef MULTI
#define MULTI 2
#endif
#ifndef SINGLES
#define SINGLES 2
#endif
#define ALL (MULTI + SINGLES)
#define NOBODY 255
#define FAR 32000

/* Where an entry is. Open: in the tree, its record was not seen decided. */
#define ABSENT 0
#define OPEN 1
#define FIXED 2
#define TAKEN 3

#define AT(q, m) ((q) * ALL + (m))
#define MAX(a, b) ((a) > (b) -> (a) : (b))
/* Stamp, then kind, then number. */
#define KEY(q, m) (stamp[AT(q, m)] * 8 + ((m) < MULTI -> 4 + (m) : 0))
#define QUEUED(q, m) (place[AT(q, m)] == OPEN || place[AT(q, m)] == FIXED)

/* Records of the multicasts. */
bool decided[MULTI];
byte floor[MULTI];

/* Inboxes and what stands in them. */
bool held[2];
byte clock[2];
bool due[2];
bool asleep[2];
byte place[2 * ALL];
byte stamp[2 * ALL];

byte now = 2;

/* What the judge goes by. */
bool announced[2 * ALL];
byte rank[2 * ALL];
byte taken[2];
bool heard[ALL];
bool before[ALL * ALL];

/* Dies here, or not. */
#ifdef CRASH
#define MAY_DIE if :: true -> goto dead :: true fi
#else
#define MAY_DIE skip
#endif

/* A send begins: notes who had returned by then. */
inline begin(m, high) {
	i = 0;
	do
	:: i < ALL -> before[i * ALL + m] = heard[i]; i++
	:: else -> break
	od;
	i = 0;
#ifdef NO_TIME
	high = 2
#else
	high = now
#endif
}

/* A send or a receipt returns, when the clock is past its stamp. */
inline returned(m, at) {
#ifndef NO_SETTLE
	now = MAX(now, at + 2);
#endif
	heard[m] = true
}

/* Without STANDING, no two readings are equal. */
inline time_passes() {
#ifndef STANDING
	now = now + 2
#else
	skip
#endif
}

inline stage(q, m, high) {
	atomic {
		!held[q] -> held[q] = true;
		high = MAX(high, clock[q] + 2);
		clock[q] = high;
		floor[m] = MAX(floor[m], high)
	}
	/* Others may push it here. */
	atomic {
		stamp[AT(q, m)] = floor[m] - 1;
		place[AT(q, m)] = OPEN;
		held[q] = false
	}
}

/* Whom a sender is to wake, and what happens between unlock and that. */
#ifdef LATE_WAKE
#define UNLOCKED_BEFORE_WAKE } MAY_DIE; d_step {
#else
#define UNLOCKED_BEFORE_WAKE
#endif

inline pass(q, m, at) {
	d_step {
		!held[q] ->
		told = true;
#ifndef NO_PASS
		clock[q] = MAX(clock[q], at);
		if
		:: QUEUED(q, m) ->
			stamp[AT(q, m)] = at;
			place[AT(q, m)] = FIXED;
			due[q] = true;
			told = false
		:: else
		fi;
#endif
		UNLOCKED_BEFORE_WAKE
		announced[AT(q, m)] = true;
		asleep[q] = (asleep[q] && told);
		told = false
	}
}

proctype multicast(byte m; byte from) {
	byte high, i;
	bool told;

	MAY_DIE;
	d_step { time_passes(); begin(m, high) }
	MAY_DIE;
	stage(from, m, high);
	MAY_DIE;
	stage(1 - from, m, high);
	MAY_DIE;
	atomic {
#ifdef COMMIT_FORGETS
		floor[m] = high;
#else
		high = MAX(high, floor[m]);
		floor[m] = high;
#endif
		decided[m] = true
	}
	MAY_DIE;
	pass(from, m, high);
	MAY_DIE;
	pass(1 - from, m, high);
	MAY_DIE;
	d_step { returned(m, high) }
dead:
	skip
}

/* Whether the reader was told of something that it has not read yet. */
inline look_told(q, yes) {
	yes = false;
	i = 0;
	do
	:: i < ALL -> yes = (yes || place[AT(q, i)] == FIXED); i++
	:: else -> break
	od;
	yes = (yes && due[q]);
#ifdef WAKE_ALWAYS
	yes = false;
#endif
	i = 0
}

inline unicast(q, m) {
	d_step { time_passes(); begin(m, high) }
	d_step {
		!held[q] ->
		look_told(q, told);
		high = MAX(high, clock[q] + 2);
		clock[q] = high;
		stamp[AT(q, m)] = high;
		place[AT(q, m)] = FIXED;
		due[q] = true;
		UNLOCKED_BEFORE_WAKE
		announced[AT(q, m)] = true;
		asleep[q] = (asleep[q] && told);
		told = false
	}
	MAY_DIE;
	d_step { returned(m, high) }
}

#if SINGLES > 0
proctype teller() {
	byte high, i;
	bool told;

	unicast(0, MULTI);
#if SINGLES > 1
	unicast(1, MULTI + 1);
#endif
dead:
	skip
}
#endif

/* The multicast with the lowest key above `from` and below `to`. */
inline lowest(q, from, to, which) {
	which = NOBODY;
	best = to;
	i = 0;
	do
	:: i < MULTI ->
		if
		:: QUEUED(q, i) && KEY(q, i) > from && KEY(q, i) < best -> which = i; best = KEY(q, i)
		:: else
		fi;
		i++
	:: else -> break
	od
}

/* The first unicast. */
inline front(q) {
	first = NOBODY;
	limit = FAR;
	i = MULTI;
	do
	:: i < ALL ->
		if
		:: place[AT(q, i)] == FIXED && KEY(q, i) < limit -> first = i; limit = KEY(q, i)
		:: else
		fi;
		i++
	:: else -> break
	od
}

/*
 * The candidate, `first`, and the lowest open entry before it, `o`. One step, although the records
 * are looked at one after the other: what is decided in between is found decided by the push, or
 * is as if it were decided later.
 */
inline scan(q) {
	front(q);
	cursor = 0;
	m = 0;
	do
	:: m == NOBODY -> break
	:: else ->
		lowest(q, cursor, limit, m);
		if
		:: m == NOBODY
		:: else ->
			if
			:: place[AT(q, m)] == FIXED -> first = m; m = NOBODY
			:: place[AT(q, m)] == OPEN && decided[m] ->
				stamp[AT(q, m)] = floor[m];
				place[AT(q, m)] = FIXED;
				cursor = 0
			:: else -> cursor = KEY(q, m)
			fi
		fi
	od;
	o = NOBODY;
	if
	:: first == NOBODY
	:: else -> limit = KEY(q, first); lowest(q, 0, limit, o)
	fi;
#ifdef NO_PUSH
	o = NOBODY;
#endif
#ifdef EQUAL_IS_ABOVE
	if
	:: o == NOBODY
	:: else ->
		if
		:: floor[o] >= stamp[AT(q, first)] -> o = NOBODY
		:: else
		fi
	fi;
#endif
#ifdef BLOCKING
	if
	:: o == NOBODY
	:: else -> first = NOBODY
	fi;
#endif
	m = 0;
	i = 0;
	cursor = 0;
	limit = 0;
	best = 0
}

/* Out of the way of the candidate, unless it is decided. The compare-and-swap is one step. */
inline push(q) {
	if
	:: decided[o] -> stamp[AT(q, o)] = floor[o]; place[AT(q, o)] = FIXED
	:: else ->
		floor[o] = MAX(floor[o], MAX(clock[q], stamp[AT(q, first)]) + 2);
		stamp[AT(q, o)] = floor[o] - 1
	fi
}

inline take(q) {
	clock[q] = MAX(clock[q], stamp[AT(q, first)]);
	place[AT(q, first)] = TAKEN;
	taken[q]++;
	rank[AT(q, first)] = taken[q];
	left_over = false;
	i = 0;
	do
	:: i < ALL -> left_over = (left_over || QUEUED(q, i)); i++
	:: else -> break
	od;
	due[q] = (due[q] && left_over);
	i = 0;
	left_over = false;
	held[q] = false
}

/* Whether there is something to read, as the engine says it. */
inline readable(q) {
	ready = false;
	i = 0;
	do
	:: i < ALL ->
		if
		:: place[AT(q, i)] == FIXED -> ready = true
		:: place[AT(q, i)] == OPEN -> ready = (ready || decided[i])
		:: else
		fi;
		i++
	:: else -> break
	od;
	ready = (ready && due[q]);
	i = 0
}

proctype reader(byte q) {
	byte i, m, o, first;
	short limit, cursor, best;
	bool ready, left_over;

end:
	do
	:: d_step { !held[q] && !asleep[q] -> held[q] = true; scan(q) }
		do
		:: first != NOBODY && o != NOBODY ->
			d_step { push(q) }
			d_step { scan(q) }
		:: first != NOBODY && o == NOBODY ->
			d_step { take(q) }
			d_step { returned(first, stamp[AT(q, first)]); first = 0; o = 0 }
			break
		:: first == NOBODY ->
			held[q] = false;
			/* To sleep, unless something came meanwhile. */
#ifdef EARLY_SLEEP
			d_step { !held[q] -> readable(q); first = 0; o = 0 }
#else
			d_step { !held[q] -> held[q] = true; readable(q); first = 0; o = 0 }
#endif
			d_step {
				asleep[q] = !ready;
				ready = false;
#ifndef EARLY_SLEEP
				held[q] = false
#endif
			}
			break
		od
	od
}

/* Whether `a` comes before `b` for somebody. */
#define EDGE(a, b) \
	((rank[AT(0, a)] && rank[AT(0, b)] && rank[AT(0, a)] < rank[AT(0, b)]) || \
	 (rank[AT(1, a)] && rank[AT(1, b)] && rank[AT(1, a)] < rank[AT(1, b)]) || before[(a) * ALL + (b)])
#define DELIVERED(m) (rank[AT(0, m)] || rank[AT(1, m)])

/* Paths between all pairs, then none from a message to itself. */
inline acyclic() {
	i = 0;
	do
	:: i < ALL ->
		j = 0;
		do
		:: j < ALL ->
			path[i * ALL + j] = (DELIVERED(i) && DELIVERED(j) && i != j && EDGE(i, j));
			j++
		:: else -> break
		od;
		i++
	:: else -> break
	od;
	k = 0;
	do
	:: k < ALL ->
		i = 0;
		do
		:: i < ALL ->
			j = 0;
			do
			:: j < ALL ->
				path[i * ALL + j] =
				    (path[i * ALL + j] || (path[i * ALL + k] && path[k * ALL + j]));
				j++
			:: else -> break
			od;
			i++
		:: else -> break
		od;
		k++
	:: else -> break
	od;
	i = 0;
	do
	:: i < ALL -> assert(!path[i * ALL + i]); i++
	:: else -> break
	od
}

proctype judge() {
	byte i, j, k;
	bool path[ALL * ALL];

	timeout;
	/* Nobody can do anything more: all that was announced is read, and nobody sleeps on it. */
	d_step {
		i = 0;
		do
		:: i < 2 * ALL -> assert(!announced[i] || place[i] == TAKEN); i++
		:: else -> break
		od
	}
	/* What the dead left decided and unannounced: the readers look once more. */
	d_step { asleep[0] = false; asleep[1] = false }
	timeout;
	d_step { acyclic() }
}

init {
	atomic {
		run multicast(0, 0);
#if MULTI > 1
		run multicast(1, 1);
#endif
#if SINGLES > 0
		run teller();
#endif
		run reader(0);
		run reader(1);
#ifndef LIVE
		run judge()
#endif
	}
}

#ifdef LIVE
ltl reached {
	[] (announced[AT(0, MULTI)] -> <> (place[AT(0, MULTI)] == TAKEN)) &&
	[] (announced[AT(1, MULTI + 1)] -> <> (place[AT(1, MULTI + 1)] == TAKEN))
}
#endif
