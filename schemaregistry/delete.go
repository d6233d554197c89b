package schemaregistry

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// latest is the number of the newest version in a request.
const latest = -1

// parseVersion reads the version of a path: a number from 1, "latest" or -1.
func parseVersion(text string) (int, error) {
	if t := strings.TrimSpace(text); strings.EqualFold(t, "latest") || t == "-1" {
		return latest, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 {
		return 0, invalidVersion(text)
	}
	return int(n), nil
}

// find returns a version. The latest one is never a soft-deleted one.
func (r *Registry) find(name string, number int, deleted bool) (*version, error) {
	r.store.mu.RLock()
	defer r.store.mu.RUnlock()
	return r.store.state.find(name, number, deleted)
}

func (s *state) find(name string, number int, deleted bool) (*version, error) {
	sub := s.subjects[name]
	if len(sub.live(deleted)) == 0 {
		return nil, subjectNotFound(name)
	}
	if number == latest {
		if live := sub.live(false); len(live) > 0 {
			return live[len(live)-1], nil
		}
		return nil, versionNotFound(latest)
	}
	if v := sub.find(number); v != nil && (deleted || !v.deleted) {
		return v, nil
	}
	return nil, versionNotFound(number)
}

func (r *Registry) schema(id int) (*schema, error) {
	r.store.mu.RLock()
	defer r.store.mu.RUnlock()
	if s := r.store.state.byID[id]; s != nil {
		return s, nil
	}
	return nil, idNotFound(id)
}

// writable refuses what a read-only mode forbids.
func (s *state) writable(name string) error {
	if m := s.mode(name); m == modeReadOnly || m == modeReadOnlyOverride {
		return notPermitted("Subject %s is in read-only mode", name)
	}
	return nil
}

// deleteSubject deletes all versions of a subject, softly or what was deleted softly before for good, and returns
// their numbers.
func (r *Registry) deleteSubject(ctx context.Context, name string, permanent bool) (numbers []int, err error) {
	err = r.change(ctx, "deleting the subject "+name, func(st *state) ([]*kgo.Record, error) {
		sub := st.subjects[name]
		live := sub.live(false)
		switch {
		case sub == nil:
			return nil, subjectNotFound(name)
		case permanent && len(live) > 0:
			return nil, subjectNotDeleted(name)
		case !permanent && len(live) == 0:
			return nil, subjectDeleted(name)
		}
		if err := st.writable(name); err != nil {
			return nil, err
		}
		if err := st.unreferenced(name, sub.versions, permanent); err != nil {
			return nil, err
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
	}, nil)
	return numbers, err
}

// deleteVersion deletes one version, softly or after that for good, and returns its number.
func (r *Registry) deleteVersion(ctx context.Context, name, text string, permanent bool) (number int, err error) {
	number, err = parseVersion(text)
	if err != nil {
		return 0, err
	}
	err = r.change(ctx, "deleting a version of "+name, func(st *state) ([]*kgo.Record, error) {
		v, err := st.find(name, number, true)
		if err != nil {
			return nil, err
		}
		switch {
		case permanent && !v.deleted:
			return nil, versionNotDeleted(name, text)
		case !permanent && v.deleted:
			return nil, versionDeleted(name, text)
		}
		if err := st.writable(name); err != nil {
			return nil, err
		}
		if err := st.unreferenced(name, []*version{v}, permanent); err != nil {
			return nil, err
		}
		number = v.number
		if permanent {
			return st.removal(name, []*version{v}), nil
		}
		return []*kgo.Record{recordOf(name, v, true)}, nil
	}, nil)
	return number, err
}

// unreferenced refuses the deletion of versions that others refer to; soft-deleted ones count only against deletion for
// good, and those of the same subject not at all.
func (s *state) unreferenced(name string, versions []*version, permanent bool) error {
	for other, sub := range s.subjects {
		if other == name && len(versions) > 1 {
			continue
		}
		for _, v := range sub.live(permanent) {
			for _, r := range v.schema.referenceList() {
				if r.Subject == name && slices.ContainsFunc(versions, func(v *version) bool { return v.number == r.Version }) {
					return answer(42206, `One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=%s,version=%d}.`, name, r.Version)
				}
			}
		}
	}
	return nil
}

// removal returns the records that remove versions for good, newest first, and with the last version everything else
// that is known about the subject. The first record keeps the highest id, so that it is never given again.
func (s *state) removal(name string, versions []*version) []*kgo.Record {
	records := []*kgo.Record{noop(s.maxID)}
	for _, v := range slices.Backward(versions) {
		records = append(records, &kgo.Record{Key: v.key})
	}
	if len(versions) == len(s.subjects[name].all()) {
		// After the versions: without this record, older records of theirs would count again.
		records = append(records, &kgo.Record{Key: keyOf(deleteSubjectKey, name)})
		if _, ok := s.configs[name]; ok {
			records = append(records, &kgo.Record{Key: keyOf(configKey, name)})
		}
		if _, ok := s.modes[name]; ok {
			records = append(records, &kgo.Record{Key: keyOf(modeKey, name)})
		}
	}
	return records
}
