package schemaregistry

import (
	"context"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"
)

// writable refuses what a read-only mode forbids.
func (s *state) writable(name string) error {
	if isReadOnly(s.mode(name)) {
		return readOnly(name)
	}
	return nil
}

// deleteSubject deletes all versions of a subject, softly or what was deleted softly before for good, and returns
// their numbers.
func (r *Registry) deleteSubject(ctx context.Context, name string, permanent bool) (numbers []int, err error) {
	name = shortest(name)
	err = r.change(ctx, "deleting the subject "+name, func(st *state) ([]*kgo.Record, error) {
		sub := st.subjects[name]
		live := sub.live(false)
		switch {
		case sub == nil:
			return nil, subjectNotFound(name)
		case !permanent && len(live) == 0:
			return nil, subjectDeleted(name)
		}
		if err := st.writable(name); err != nil {
			return nil, err
		}
		if err := st.unreferenced(name, sub.versions, permanent, true); err != nil {
			return nil, err
		}
		if permanent && len(live) > 0 {
			return nil, subjectNotDeleted(name)
		}
		numbers = nil
		if permanent {
			for _, v := range sub.versions {
				numbers = append(numbers, v.number)
			}
			return st.removal(name, sub.versions), nil
		}
		for _, v := range live {
			numbers = append(numbers, v.number)
		}
		last := live[len(live)-1].number
		return []*kgo.Record{{Key: keyOf(deleteSubjectKey, name), Value: marshal(deleteValue{name, last})}}, nil
	})
	return numbers, err
}

// deleteVersion deletes one version, softly or after that for good, and returns its number.
func (r *Registry) deleteVersion(ctx context.Context, name, text string, permanent bool) (number int, err error) {
	name = shortest(name)
	asked, err := parseVersion(text)
	if err != nil {
		return 0, err
	}
	err = r.change(ctx, "deleting a version of "+name, func(st *state) ([]*kgo.Record, error) {
		v, err := st.find(name, asked, true)
		if err != nil {
			return nil, err
		}
		if !permanent && v.deleted {
			return nil, versionDeleted(name, text)
		}
		if err := st.writable(name); err != nil {
			return nil, err
		}
		if err := st.unreferenced(name, []*version{v}, permanent, false); err != nil {
			return nil, err
		}
		if permanent && !v.deleted {
			return nil, versionNotDeleted(name, strconv.Itoa(v.number))
		}
		number = v.number
		if permanent {
			return st.removal(name, []*version{v}), nil
		}
		return []*kgo.Record{recordOf(name, v, true)}, nil
	})
	return number, err
}

// unreferenced refuses the deletion of versions that others refer to; soft-deleted ones count only against deletion for
// good, and those of the same subject not at all if the whole of it is deleted.
func (s *state) unreferenced(name string, versions []*version, permanent, whole bool) (err error) {
	s.referrers(name, permanent, func(other string, _ *version, to int) {
		if other == name && whole {
			return
		}
		if slices.ContainsFunc(versions, func(v *version) bool { return v.number == to }) {
			err = answer(42206, `One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=%s,version=%d}.`, name, to)
		}
	})
	return err
}

// removal returns the records that remove versions for good, newest first, and with the last version everything else
// that is known about the subject. The first record keeps the highest ids, so that they are never given again.
func (s *state) removal(name string, versions []*version) []*kgo.Record {
	records := []*kgo.Record{s.noop(s.writer)}
	for _, v := range slices.Backward(versions) {
		records = append(records, &kgo.Record{Key: v.key(name)})
	}
	if len(versions) == len(s.subjects[name].all()) {
		// After the versions: without this record, older records of theirs would count again.
		records = append(records, &kgo.Record{Key: keyOf(deleteSubjectKey, name)})
		records = append(records, s.unset(name)...)
	}
	return records
}

// unset returns the records that remove the settings of a subject or context.
func (s *state) unset(name string) (records []*kgo.Record) {
	if _, ok := s.configs[name]; ok {
		records = append(records, &kgo.Record{Key: s.settingKey(configKey, name)})
	}
	if _, ok := s.modes[name]; ok {
		records = append(records, &kgo.Record{Key: s.settingKey(modeKey, name)})
	}
	return records
}

// deleteContext removes a context in which nothing is registered, not even softly deleted, and its settings.
func (r *Registry) deleteContext(ctx context.Context, name string) error {
	whole := joinSubject(name, "")
	return r.change(ctx, "deleting the context "+name, func(st *state) ([]*kgo.Record, error) {
		if err := st.writable(whole); err != nil {
			return nil, err
		}
		if len(st.in(name).byID) > 0 {
			return nil, answer(42211, "The specified context '%s' is not empty", name)
		}
		records := st.unset(whole)
		if key := st.in(name).key; key != nil {
			records = append([]*kgo.Record{st.noop(st.writer)}, append(records, &kgo.Record{Key: key})...)
		}
		return records, nil
	})
}
