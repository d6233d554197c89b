package oracle

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sluicehub/sluice/schemaregistry/avro"
)

// number returns what an environment variable says, or the standard.
func number(t *testing.T, name string, standard int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return standard
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// answers asks Java.
func answers(t *testing.T, questions []question) []verdict {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	list, err := ask(ctx, t.TempDir(), questions)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// most is how many differences are worth reading.
const most = 10

func TestPairsOfSchemas(t *testing.T) {
	t.Parallel()
	seed := number(t, "SLUICE_TEST_SEED", 1)
	g := newGenerator(uint64(seed))
	var questions []question
	for range number(t, "SLUICE_TEST_PAIRS", 20_000) {
		s := g.schema()
		old, next := g.text(s), g.text(g.mutated(s))
		if g.chance(2) {
			old, next = next, old
		}
		questions = append(questions, question{Reader: next, Writer: old})
	}
	for _, m := range mutations() {
		if g.counts[m.name] < len(questions)/1000 {
			t.Errorf("%q was applied %d times", m.name, g.counts[m.name])
		}
	}
	kinds := make(map[string]int)
	wrong := 0
	for i, java := range answers(t, questions) {
		ours := compare(questions[i])
		java.Error = refused(java.Error)
		if diff := cmp.Diff(java, ours); diff != "" && wrong < most {
			wrong++
			t.Errorf("seed %d, pair %d (-Java +ours)\n%s\nreader %s\nwriter %s", seed, i, diff, questions[i].Reader, questions[i].Writer)
		}
		if java.Error == "" && len(java.Incompatibilities) == 0 {
			kinds["compatible"]++
		}
		if java.Error != "" {
			kinds["refused"]++
		}
		for _, found := range java.Incompatibilities {
			kinds[found[0]]++
		}
	}
	t.Log(kinds)
	for _, kind := range []string{"compatible", "refused", "NAME_MISMATCH", "FIXED_SIZE_MISMATCH", "MISSING_ENUM_SYMBOLS",
		"READER_FIELD_MISSING_DEFAULT_VALUE", "TYPE_MISMATCH", "MISSING_UNION_BRANCH"} {
		if kinds[kind] < len(questions)/300 {
			t.Errorf("%d pairs of %d are %s, so this says little", kinds[kind], len(questions), kind)
		}
	}
}

// refused makes all reasons alike: Java's are names of its classes.
func refused(reason string) string {
	if reason != "" {
		return "refused"
	}
	return ""
}

func compare(q question) verdict {
	v := verdict{Incompatibilities: [][3]string{}}
	reader, err := avro.Parse(q.Reader)
	if err != nil {
		return verdict{Error: refused(err.Error())}
	}
	writer, err := avro.Parse(q.Writer)
	if err != nil {
		return verdict{Error: refused(err.Error())}
	}
	found, err := avro.CanRead(reader, writer)
	if err != nil {
		return verdict{Error: refused(err.Error()), Incompatibilities: [][3]string{}}
	}
	for _, i := range found {
		v.Incompatibilities = append(v.Incompatibilities, [3]string{i.Type, i.Location, i.Message})
	}
	return v
}

func TestTexts(t *testing.T) {
	t.Parallel()
	seed := number(t, "SLUICE_TEST_SEED", 1)
	g := newGenerator(uint64(seed) + 1<<32)
	r := rand.New(rand.NewPCG(uint64(seed), 2))
	var questions []question
	for range number(t, "SLUICE_TEST_TEXTS", 5000) { // each once as it is, and once with something changed
		text := g.text(g.schema())
		questions = append(questions, question{Schema: text}, question{Schema: corrupted(r, text)})
	}
	questions = slices.DeleteFunc(questions, func(q question) bool { return q.Schema == "" })
	accepted, wrong := 0, 0
	for i, java := range answers(t, questions) {
		reason := java.Error
		java.Error = refused(reason)
		ours, err := describe(questions[i].Schema)
		if diff := cmp.Diff(java, ours); diff != "" && wrong < most {
			wrong++
			t.Errorf("seed %d, text %d (-Java +ours)\n%s\n%s\nJava: %s\nours: %v", seed, i, diff, questions[i].Schema, reason, err)
		}
		if reason == "" {
			accepted++
		}
	}
	t.Logf("%d of %d texts accepted", accepted, len(questions))
	if accepted < len(questions)/3 || accepted > len(questions)*9/10 {
		t.Errorf("%d of %d texts are accepted, so this says little", accepted, len(questions))
	}
}

func describe(text string) (verdict, error) {
	s, err := avro.Parse(text)
	if err != nil {
		return verdict{Error: refused(err.Error())}, err
	}
	return verdict{Text: s.String(), Canonical: s.ParsingForm(), Fingerprint: strconv.FormatUint(s.Fingerprint(), 16)}, nil
}
