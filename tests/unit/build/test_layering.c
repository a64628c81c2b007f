/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans by strategy: what each row of units comes to.
 * Relies on plan.h; every row is planned in two orders of its units.
 * Promises that a wrong plan shows both texts.
 */
#include "plan.h"

static const char *const strategies[] = {
	[LAYERING_AUTO] = "auto",
	[LAYERING_GRAPH] = "graph",
	[LAYERING_POPULARITY] = "popularity",
	[LAYERING_ORIGIN] = "origin",
	[LAYERING_SIZE] = "size",
	[LAYERING_PER_SOURCE] = "per-source",
	[LAYERING_SINGLE] = "single",
	[LAYERING_PIPELINE] = "pipeline",
};

static void expect(const char *units, const struct layering_options *o, const char *want)
{
	char *got = plan_both_ways(units, o);

	if (strcmp(got, want) != 0)
		fail_msg("%s, max %zu of \"%s\" is\n%s\nnot\n%s", strategies[o->strategy], o->max,
			 units, got, want);
	free(got);
}

/*
 * Golden: made by nixpkgs' auto-layer.py (commit 2ff66c69) on random graphs. Of equal sizes it
 * was given the one last whose name comes first, which it then takes first.
 */
static void test_graph(void **state)
{
	static const struct {
		const char *units;
		size_t max;
		const char *want;
	} rows[] = {
		{ "A=760:EGJKL B=368:CEGHJKN C=815:GLN D=708:EFI E=966:IKN F=862:JKLN G=758 "
		  "H=668:IM I=945:J J=543 K=30:LMN L=861 M=477:N N=795",
		  2, "E I J K L M N|A B C D F G H" },
		{ "A=547:DEF B=946:DE C=416:D D=33 E=244:F F=759", 5, "C|F|D E|A|B" },
		{ "A=61:I B=866:H C=431 D=302 E=145:J F=465 G=945 H=636 I=873 J=174", 5,
		  "H|I|G|B|A C D E F J" },
		{ "A=891:G B=888 C=705 D=461:I E=374 F=980:G G=343 H=531 I=146 J=543", 2,
		  "F G|A B C D E H I J" },
		{ "A=309:BEFL B=98:CDGJKLM C=303:EIKLM D=559:FGHIKL E=525:GILM F=348:GIK G=974:IKM "
		  "H=595:IKL I=301:KLM J=982 K=361:L L=839:M M=133",
		  6, "L M|J|I K|H|G|A B C D E F" },
		{ "A=488:CI B=402:FHIJ C=699:EHIL D=873:IJL E=737:FJL F=202:IJ G=921:KL H=304:K "
		  "I=477:KL J=850:K K=777:L L=68",
		  3, "G K L|A B C D E F H I J" },
		{ "A=465:D B=755:E C=399 D=184:EH E=135 F=731:G G=20 H=671", 5, "H|F G|B E|A C D" },
		{ "A=741:GHJ B=852:EK C=367 D=664:I E=304:K F=824 G=647:IK H=444 I=985 J=873 K=371",
		  7, "K|F|J|I|B E|C D|A G H" },
		{ "A=795:G B=247:EK C=180 D=689:GJ E=214:KL F=964:L G=45:L H=662 I=624 J=441 K=744 "
		  "L=999",
		  4, "L|A G|F|B C D E H I J K" },
		{ "A=74 B=431:FG C=788:EHIJ D=322 E=389:H F=771:H G=570 H=1:J I=918 J=293", 3,
		  "I|C E H J|A B D F G" },
		{ "A=445:CEFHJL B=176:CDEGIJK C=453:GHJKL D=50:EHJ E=786:HIL F=685:GHIJKL G=959:I "
		  "H=165 I=546:J J=485:L K=993:L L=504",
		  2, "K L|A B C D E F G H I J" },
		{ "A=595:BD B=884:EH C=778:DEFG D=964:FG E=732:FHIJ F=424:I G=315:IJ H=992 I=952 "
		  "J=15",
		  7, "I|H|F J|D G|B E|A C" },
		{ "A=237:DEFIJ B=436:F C=495:FJK D=542:EFGI E=611 F=927:HIJK G=251 H=310:I I=429:K "
		  "J=288 K=87",
		  4, "E|F H I J K|D G|A B C" },
		{ "A=4:BEFG B=508:CFG C=391:D D=986:EF E=351:G F=968:G G=761", 3, "F G|D E|A B C" },
		/* equal sizes: by name */
		{ "B=5 A=5 C=5", 2, "A|B C" },
		{ "A=5:B B=5", 1, "A B" },
		{ "A=5:B B=5", 2, "B|A" },
		/* a ring is one */
		{ "A=1:B B=1:A C=9", 9, "A B|C" },
		{ "A=1:B B=1:C C=1:A D=1:A E=9", 9, "A B C|D|E" },
		/* itself and twins are nothing */
		{ "A=2:AABB B=1:B", 9, "B|A" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct layering_options o = { .strategy = LAYERING_GRAPH,
						    .max = rows[i].max };

		expect(rows[i].units, &o, rows[i].want);
	}
}

/* Golden: made by a shortened transcription of nixpkgs' closure-graph.py (commit 01378401), on random graphs. */
static void test_popularity(void **state)
{
	static const struct {
		const char *units;
		size_t max;
		const char *want;
	} rows[] = {
		{ "A=738:CDFGI B=76:CDEFGHI C=150:DEGHI D=278:EGHI E=991:FGHI F=99:HI G=567:HI "
		  "H=490:I I=443",
		  8, "I|H|G|F|E|D|C|A B" },
		{ "A=16:CDEFGHI B=836:DFH C=775:DGHJ D=171:EFHIJ E=914:HIJK F=347 G=152:HIJK "
		  "H=311:IK I=800:JK J=196:K K=433",
		  5, "K|J|I|H|A B C D E F G" },
		{ "A=824:B B=513:GI C=245 D=40:G E=709:I F=395:GI G=906 H=355 I=796", 4,
		  "G|I|B|A C D E F H" },
		{ "A=258:B B=850 C=26:EF D=641 E=259 F=398", 2, "B|A C D E F" },
		{ "A=422:BCD B=121:CDE C=423:DE D=739:E E=544", 3, "E|D|A B C" },
		{ "A=415:F B=773:DF C=313:DE D=265:F E=465 F=306 G=307:H H=2 I=900", 6,
		  "F|D|E|H|A|B C G I" },
		{ "A=727:CDEFGHIJK B=657:DEFHIJKL C=89:DFGHIKL D=980:EFGHIJKL E=833:FGHIJKL "
		  "F=120:HKL G=707:HIKL H=789:IKL I=114:JKL J=345:KL K=99:L L=106",
		  9, "L|K|J|I|H|F|G|E|A B C D" },
		{ "A=777:BDEFJL B=728:DEFHJ C=620:GHJ D=101:FJL E=138:K F=611:K G=208:HL H=469:KL "
		  "I=712:L J=973 K=747:L L=788",
		  5, "L|K|J|F|A B C D E G H I" },
		/* the example in its own comment */
		{ "A=1:BG B=1:CE C=1:DE D=1:F E=1:F F=1 G=1", 7, "F|E|D|C|B|G|A" },
		/* equal: by name, as if the hash stood behind it */
		{ "b-a=1 a-b=1 c=1", 3, "b-a|a-b|c" },
		{ "x-a=1 y-a=1 z-a-=1", 3, "z-a-|x-a|y-a" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct layering_options o = { .strategy = LAYERING_POPULARITY,
						    .max = rows[i].max };

		expect(rows[i].units, &o, rows[i].want);
	}
}

/* Counts of more than 64 bits: 300 diamonds, one on the other. */
static void test_popularity_counts(void **state)
{
	enum { DIAMONDS = 300, N = 3 * DIAMONDS + 1 };
	static struct unit u[N];
	static uint32_t refs[N][2];
	static char names[N][16];
	const struct layering_options o = { .strategy = LAYERING_POPULARITY,
					    .max = N,
					    .force = true };
	cleanup_layering struct layering l = { 0 };
	dray_error *err = NULL;

	(void)state;
	for (uint32_t i = 0; i < N; i++) {
		snprintf(names[i], sizeof(names[i]), "%04u", (i * 577 + 5) % N);
		u[i] = (struct unit){ .name = names[i], .refs = refs[i], .group = LAYERING_NONE };
		u[i].n_refs = i + 1 == N ? 0 : i % 3 == 0 ? 2 : 1;
		refs[i][0] = i % 3 == 0 ? i + 1 : i - i % 3 + 3;
		refs[i][1] = i + 2;
	}
	assert_ok(layering_plan(u, N, &o, &l, &err), err);
	/* Each level is more popular than the one above it, beyond 2^300. */
	for (size_t i = 3; i < N; i += 3) {
		assert_true(l.layer_of[i] < l.layer_of[i - 3]);
		assert_true(l.layer_of[i] < l.layer_of[i - 1]);
		assert_true(l.layer_of[i] < l.layer_of[i - 2]);
	}
}

static void test_others(void **state)
{
	static const struct {
		const char *units;
		struct layering_options o;
		const char *want;
	} rows[] = {
		/* origin: the biggest alone, the others together on top (apko) */
		{ "a=5@x b=1@y c=4@z d=3@y e=2@x",
		  { .strategy = LAYERING_ORIGIN, .max = 9 },
		  "a e|b d|c" },
		{ "a=5@x b=1@y c=4@z d=3@y e=2@x",
		  { .strategy = LAYERING_ORIGIN, .max = 2 },
		  "a e|b c d" },
		{ "a=5@x b=1@y c=4@z d=3@y e=2@x",
		  { .strategy = LAYERING_ORIGIN, .max = 1 },
		  "a b c d e" },
		{ "a=1 b=3 c=2", { .strategy = LAYERING_ORIGIN, .max = 2 }, "b|a c" },
		{ "a=1@x b=1@x c=1@y r=9@x^",
		  { .strategy = LAYERING_ORIGIN, .max = 9 },
		  "a b|c|r" },
		/* size: runs of like sizes whose bytes times units are least */
		{ "a=100 b=90 c=10 d=9 e=8 f=1 g=1",
		  { .strategy = LAYERING_SIZE, .max = 3 },
		  "a|b|c d e f g" },
		{ "a=100 b=90 c=10 d=9 e=8 f=1 g=1",
		  { .strategy = LAYERING_SIZE, .max = 4 },
		  "a|b|c d|e f g" },
		{ "a=100 b=90 c=10 d=9 e=8 f=1 g=1",
		  { .strategy = LAYERING_SIZE, .max = 7 },
		  "a|b|c|d|e|f|g" },
		{ "a=4 b=4 c=4 d=4", { .strategy = LAYERING_SIZE, .max = 2 }, "a b|c d" },
		{ "a=0 b=0 c=0", { .strategy = LAYERING_SIZE, .max = 2 }, "a|b c" },
		/* what changed long ago lies deeper */
		{ "a=9+30 b=8+10 c=7+20", { .strategy = LAYERING_SIZE, .max = 9 }, "b|c|a" },
		{ "a=9#2 b=8#0 c=7#2 d=1#1",
		  { .strategy = LAYERING_PER_SOURCE, .max = 3 },
		  "b|d|a c" },
		{ "a=9 b=8 c=7 d=1", { .strategy = LAYERING_SINGLE }, "a b c d" },
		/* on top: roots where they are put apart, the volatile everywhere */
		{ "a=9 b=8 r=7^", { .strategy = LAYERING_SIZE, .max = 9 }, "a|b|r" },
		{ "a=9^ b=8^", { .strategy = LAYERING_SIZE, .max = 1 }, "a b" },
		{ "a=9^ b=8^ c=1!", { .strategy = LAYERING_SIZE, .max = 9 }, "a|b|c" },
		{ "r=9:ab^ a=8 b=7", { .strategy = LAYERING_GRAPH, .max = 1 }, "a b r" },
		{ "r=9:ab! a=8 b=7", { .strategy = LAYERING_GRAPH, .max = 9 }, "b|a|r" },
		{ "r=9:ab! a=8 b=7", { .strategy = LAYERING_GRAPH, .max = 1 }, "a b r" },
		{ "a=9! b=8!", { .strategy = LAYERING_SINGLE }, "a b" },
		/* auto: by what there is to go by; nothing tiny, nothing left unused */
		{ "a=900000:bc b=800000:d c=700000:d d=600000",
		  { .max = 9, .min_size = -1 },
		  "d|c|b|a" },
		{ "a=900000:b b=800000 c=5 d=6", { .max = 9, .min_size = -1 }, "b c d|a" },
		{ "a=900000 b=800000 c=5 d=6", { .max = 9, .min_size = -1 }, "a|b c d" },
		{ "a=5 b=6 c=7", { .max = 9, .min_size = -1 }, "a b c" },
		{ "a=5 b=6 c=7!", { .max = 9, .min_size = -1 }, "a b|c" },
		{ "a=9 b=8 c=7", { .max = 9, .min_size = 0 }, "a|b|c" },
		{ "a=9@x b=8@y c=7@x", { .max = 9 }, "a c|b" },
		/* what the base has is planned with, and lies nowhere */
		{ "a=9~ b=8 c=7", { .strategy = LAYERING_SIZE, .max = 9 }, "b|c" },
		{ "a=9~ b=8~", { .strategy = LAYERING_SIZE, .max = 9 }, "" },
		{ "a=9:b b=8~ c=7", { .strategy = LAYERING_GRAPH, .max = 9 }, "c|a" },
		{ "a=9~ b=8", { .strategy = LAYERING_SINGLE, .max = 4, .base = 3 }, "b" },
		{ "", { .strategy = LAYERING_AUTO, .base = 99 }, "" },
		/* not too small, not too big */
		{ "a=9 b=8 c=3 d=1",
		  { .strategy = LAYERING_SIZE, .max = 9, .min_size = 4 },
		  "a|b|c d" },
		{ "a=9 b=8 c=3 d=1",
		  { .strategy = LAYERING_SIZE, .max = 9, .min_size = 5 },
		  "a|b c d" },
		{ "a=9 b=8", { .strategy = LAYERING_SIZE, .max = 9, .min_size = 99 }, "a b" },
		{ "a=9 b=8 c=3 d=1",
		  { .strategy = LAYERING_SINGLE, .max = 9, .max_size = 10 },
		  "a d|b|c" },
		{ "a=9 b=8 c=3 d=1",
		  { .strategy = LAYERING_SINGLE, .max = 9, .max_size = 5 },
		  "a|b|c d" },
		{ "a=9 b=8 c=3 d=1",
		  { .strategy = LAYERING_SIZE, .max = 2, .max_size = 12 },
		  "a c|b d" },
		/* nor is what is volatile; groups and it take what they need first */
		{ "a=9! b=8! c=3",
		  { .strategy = LAYERING_SINGLE, .max = 9, .max_size = 10 },
		  "c|a|b" },
		{ "a=9! b=8! c=3 d=4",
		  { .strategy = LAYERING_SIZE, .max = 3, .max_size = 10 },
		  "c d|a|b" },
		{ "a=9! b=8!", { .strategy = LAYERING_SINGLE, .max = 2, .max_size = 10 }, "a|b" },
		{ "a=9! b=8! c=3",
		  { .strategy = LAYERING_SINGLE, .max = 9, .max_size = 17 },
		  "c|a b" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		expect(rows[i].units, &rows[i].o, rows[i].want);
}

/* ---- groups ---- */

#define PATTERNS(...)                                                     \
	{                                                                 \
		(const char *const[]){ __VA_ARGS__ },                     \
			ARRAY_LEN(((const char *const[]){ __VA_ARGS__ })) \
	}

static void test_groups(void **state)
{
	const struct layering_group groups[] = {
		{ .name = "py", .closure_of = PATTERNS("p*") },
		{ .name = "cuda", .units = PATTERNS("/nix/*/c-*", "nix/*/d-*"), .max = 2 },
		{ .name = "none", .units = PATTERNS("**/zzz") },
	};
	const struct {
		const char *units;
		struct layering_options o;
		const char *want;
	} rows[] = {
		/* a closure takes what it needs, the first group that fits takes a unit */
		{ "p=1:q q=1:r r=1 s=1:r", { .max = 9 }, "p q r|s" },
		{ "p=1:/ /nix/s/c-1=1 t=1", { .max = 9 }, "/nix/s/c-1 p|t" },
		/* several layers for one group, as far as there are */
		{ "/nix/s/c-1=3 /nix/s/c-2=1 nix/s/d-3=1 t=9",
		  { .max = 9 },
		  "/nix/s/c-1|/nix/s/c-2 nix/s/d-3|t" },
		{ "/nix/s/c-1=3 /nix/s/c-2=1 nix/s/d-3=1 t=9",
		  { .max = 2 },
		  "/nix/s/c-1 /nix/s/c-2 nix/s/d-3|t" },
		/* '*' stays within a part */
		{ "/nix/s/t/c-1=1 /nix/c-1=1 nix/s/c-=1",
		  { .max = 9 },
		  "nix/s/c-|/nix/c-1 /nix/s/t/c-1" },
		/* given to a group by number, volatile or not */
		{ "a=1&1! b=1! c=1", { .max = 9 }, "a|c|b" },
		{ "a=1&2 b=1&2~", { .max = 9 }, "a" },
		/* the top joins the rest rather than be refused */
		{ "p=1 a=1 b=1!", { .max = 2 }, "p|a b" },
		{ "p=1 a=1 b=1!", { .max = 3 }, "p|a|b" },
		{ "p=1 b=1!", { .max = 2 }, "p|b" },
		{ "p=1 a=1 b=1", { .max = 9, .on_top = PATTERNS("b", "x/**") }, "p|a|b" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct layering_options o = rows[i].o;

		o.strategy = LAYERING_SINGLE;
		o.groups = groups;
		o.n_groups = ROWS(groups);
		expect(rows[i].units, &o, rows[i].want);
	}
}

/* ---- refusals ---- */

static void test_refused(void **state)
{
	const struct layering_group two[] = { { .name = "x", .units = PATTERNS("a") },
					      { .name = "y", .units = PATTERNS("b") } };
	const struct layering_group bad[] = { { .name = "x", .units = PATTERNS("a/../b") } };
	const struct {
		const char *units;
		struct layering_options o;
		enum dray_err_kind kind;
		const char *message;
	} rows[] = {
		{ "a=1",
		  { .max = 4, .base = 4 },
		  DRAY_ERR_LIMIT,
		  "the base has 4 layers and the image may have 4" },
		{ "a=1", { .base = 70 }, DRAY_ERR_LIMIT, "70 layers and the image may have 64" },
		{ "a=1 b=1 c=1",
		  { .max = 3, .base = 1, .groups = two, .n_groups = 2 },
		  DRAY_ERR_LIMIT,
		  "need 3 layers, but 2 are left" },
		{ "a=1#0 b=1#1 c=1#2",
		  { .strategy = LAYERING_PER_SOURCE, .max = 2 },
		  DRAY_ERR_LIMIT,
		  "each of 3 sources, but only 2 layers" },
		{ "a=9 b=9 c=9",
		  { .strategy = LAYERING_SIZE, .max = 2, .max_size = 10 },
		  DRAY_ERR_LIMIT,
		  "3 layers of at most 10 bytes (layers.max_size) are needed, but 2" },
		{ "a=9! b=8! c=3",
		  { .strategy = LAYERING_SINGLE, .max = 2, .max_size = 10 },
		  DRAY_ERR_LIMIT,
		  "what is volatile needs 2 layers of at most 10 bytes (layers.max_size), but 1" },
		{ "a=1",
		  { .max = 200, .base = 125 },
		  DRAY_ERR_LIMIT,
		  "126 layers, but engines take 125" },
		{ "a=1 a=2", { .max = 9 }, DRAY_ERR_FORMAT, "two units are called a" },
		{ "a=1",
		  { .groups = bad, .n_groups = 1 },
		  DRAY_ERR_USAGE,
		  "group x: pattern \"a/../b\"" },
		{ "a=1", { .on_top = PATTERNS("[") }, DRAY_ERR_USAGE, "pattern \"[\"" },
		{ "a=9223372036854775807 b=1", { .max = 9 }, DRAY_ERR_LIMIT, "2^63" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_units struct units u = { 0 };
		cleanup_layering struct layering l = { 0 };
		dray_error *err = NULL;

		units_read(&u, rows[i].units);
		if (layering_plan(u.list, u.n, &rows[i].o, &l, &err) == 0)
			fail_msg("\"%s\" is planned", rows[i].units);
		assert_err(err, rows[i].kind, rows[i].message);
	}
}

/* One layer more than refused rows have is enough. */
static void test_not_refused(void **state)
{
	const struct layering_group two[] = { { .name = "x", .units = PATTERNS("a") },
					      { .name = "y", .units = PATTERNS("b") } };

	(void)state;
	expect("a=1", &(struct layering_options){ .max = 5, .base = 4 }, "a");
	expect("a=1 b=1 c=1",
	       &(struct layering_options){ .max = 4, .base = 1, .groups = two, .n_groups = 2 },
	       "a|b|c");
	expect("a=1#0 b=1#1 c=1#2",
	       &(struct layering_options){ .strategy = LAYERING_PER_SOURCE, .max = 3 }, "a|b|c");
	expect("a=9 b=9 c=9",
	       &(struct layering_options){ .strategy = LAYERING_SIZE, .max = 3, .max_size = 10 },
	       "a|b|c");
	expect("a=1", &(struct layering_options){ .max = 200, .base = 124 }, "a");
	expect("a=1", &(struct layering_options){ .max = 200, .base = 125, .force = true }, "a");
}

/* ---- previous ---- */

static void test_previous(void **state)
{
	const struct layering_old previous[] = { { (const char *const[]){ "a", "b" }, 2 },
						 { (const char *const[]){ "gone" }, 1 },
						 { (const char *const[]){ "c" }, 1 } };
	static const struct {
		const char *units;
		size_t max;
		const char *want;
	} rows[] = {
		{ "a=1 b=2 c=3", 9, "a b|c" },
		/* what is new lies on top of the rest */
		{ "a=1 b=2 c=3 n=9 m=9", 9, "a b|c|m n" },
		{ "a=1 b=2 c=3 n=9 r=5!", 9, "a b|c|n|r" },
		/* without room neighbours join */
		{ "a=1 b=2 c=3 n=9", 2, "a b c|n" },
		{ "a=90 b=2 c=3 n=9", 2, "a b|c n" },
		{ "c=3", 9, "c" },
		/* of nothing known: planned as if there had been nothing */
		{ "x=3 y=2", 9, "x|y" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct layering_options o = { .strategy = LAYERING_SIZE,
						    .max = rows[i].max,
						    .previous = previous,
						    .n_previous = 3 };

		expect(rows[i].units, &o, rows[i].want);
	}
}

/* ---- names ---- */

static void test_components(void **state)
{
	static const struct {
		const char *path, *component, *origin;
	} rows[] = {
		{ "/nix/store/0123-glibc-2.38-44", "glibc", "glibc" },
		{ "/nix/store/0123-glibc-2.38-44-bin", "glibc-bin", "glibc" },
		{ "/nix/store/0123-python3.11-numpy-1.26.4-dist", "python3.11-numpy-dist",
		  "python3.11-numpy" },
		{ "/nix/store/0123-bash-interactive-5.2p37", "bash-interactive",
		  "bash-interactive" },
		{ "/nix/store/0123-source", "source", "source" },
		{ "/nix/store/0123-nss-cacert-3.98-unbundled", "nss-cacert-unbundled",
		  "nss-cacert" },
		{ "/nix/store/0123-a-1-", "a", "a" },
		{ "/nix/store/0123-", "0123-", "0123-" },
		{ "/nix/store/0123", "0123", "0123" },
		{ "x", "x", "x" },
		{ "", "", "" },
	};
	struct arena a = { 0 };

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_string_equal(layering_component(&a, rows[i].path), rows[i].component);
		assert_string_equal(layering_origin(&a, rows[i].path), rows[i].origin);
	}
	arena_clear(&a);
}

/* Components tell units apart, with as much of their names as it takes. */
static void test_unique(void **state)
{
	const struct unit u[] = {
		{ .name = "/s/1-ssl-1.1", .component = "ssl", .group = LAYERING_NONE },
		{ .name = "/s/2-ssl-3.0", .component = "ssl", .group = LAYERING_NONE },
		{ .name = "/s/3-z-1", .component = "z", .group = LAYERING_NONE },
		{ .name = "/s/4-z-1", .component = "z", .group = LAYERING_NONE },
		{ .name = "/s/5-y-1", .component = "y", .group = LAYERING_NONE },
		{ .name = "x", .group = LAYERING_NONE },
		{ .name = "/s/6-x-1", .component = "x", .group = LAYERING_NONE },
	};
	static const char *const want[] = { "ssl-1.1", "ssl-3.0", "/s/3-z-1", "/s/4-z-1",
					    "y",       "x",	  "x-1" };
	const struct layering_options o = { .strategy = LAYERING_SINGLE };
	cleanup_layering struct layering l = { 0 };
	dray_error *err = NULL;

	(void)state;
	assert_ok(layering_plan(u, ROWS(u), &o, &l, &err), err);
	for (size_t i = 0; i < ROWS(u); i++)
		assert_string_equal(l.components[i], want[i]);
}

static void test_layer_names(void **state)
{
	const struct layering_group g[] = { { .name = "grp", .units = PATTERNS("g") } };
	cleanup_units struct units u = { 0 };
	cleanup_layering struct layering l = { 0 };
	const struct layering_options o = {
		.strategy = LAYERING_SINGLE, .max = 9, .groups = g, .n_groups = 1
	};
	dray_error *err = NULL;

	(void)state;
	units_read(&u, "a=1 b=5 c=5 g=9 v=7!");
	assert_ok(layering_plan(u.list, u.n, &o, &l, &err), err);
	assert_int_equal(l.n, 3);
	assert_string_equal(l.layers[0].name, "grp");
	assert_string_equal(l.layers[1].name, "b");
	assert_string_equal(l.layers[2].name, "volatile");
	assert_int_equal(l.layers[0].kind, LAYERING_OF_GROUP);
	assert_int_equal(l.layers[1].kind, LAYERING_OF_REST);
	assert_int_equal(l.layers[2].kind, LAYERING_ON_TOP);
	assert_int_equal(l.layers[1].bytes, 11);
}

static void test_strategies(void **state)
{
	enum layering_strategy s;
	dray_error *err = NULL;

	(void)state;
	for (s = LAYERING_AUTO; s <= LAYERING_PIPELINE; s++) {
		enum layering_strategy got;

		assert_ok(layering_strategy_parse(strategies[s], &got, &err), err);
		assert_int_equal(got, s);
	}
	assert_ok(layering_strategy_parse("explicit", &s, &err), err);
	assert_int_equal(s, LAYERING_SINGLE);
	assert_int_equal(layering_strategy_parse("grahp", &s, &err), -1);
	assert_string_equal(dray_error_hint(err), "did you mean \"graph\"?");
	assert_err(err, DRAY_ERR_USAGE, "no strategy \"grahp\"");
}

/* ---- memory ---- */

static int plan_once(void *arg, dray_error **err)
{
	const struct layering_old previous[] = { { (const char *const[]){ "a", "b" }, 2 } };
	const struct layering_group g[] = {
		{ .name = "x", .units = PATTERNS("g*"), .closure_of = PATTERNS("h"), .max = 2 }
	};
	const struct units *u = arg;

	for (enum layering_strategy s = LAYERING_AUTO; s < LAYERING_PIPELINE; s++)
		for (int way = 0; way < 2; way++) {
			const struct layering_options o = {
				.strategy = s,
				.max = 40,
				.min_size = way ? -1 : 2,
				.max_size = 40,
				.groups = g,
				.n_groups = 1,
				.on_top = PATTERNS("v"),
				.previous = previous,
				.n_previous = (size_t)way,
			};
			cleanup_layering struct layering l = { 0 };

			if (layering_plan(u->list, u->n, &o, &l, err) < 0)
				return -1;
		}
	return 0;
}

static void test_memory(void **state)
{
	cleanup_units struct units u = { 0 };

	(void)state;
	units_read(&u, "a=30:bc@x b=20:d@y c=10:d d=9@x e=30:f f=3@z g=4 h=2:i i=8 v=1!");
	torture_alloc(plan_once, &u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_graph),
		cmocka_unit_test(test_popularity),
		cmocka_unit_test(test_popularity_counts),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_not_refused),
		cmocka_unit_test(test_previous),
		cmocka_unit_test(test_components),
		cmocka_unit_test(test_unique),
		cmocka_unit_test(test_layer_names),
		cmocka_unit_test(test_strategies),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
