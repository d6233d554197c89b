package s3

import "context"

// earlyPart is a part of a large object that is sent while the file still grows. There is at most one at a time.
type earlyPart struct {
	blob *blob
	over chan struct{} // closed when sending ended
	err  error         // valid then
}

// cut hands what the file has so far to be sent as a part, and returns at once unless the part before is still being
// sent. Only files that are not packed can be cut, and only if nothing hangs on their metadata and their layout is whole.
func (u *upload) cut(ctx context.Context, t *task, p *partition) error {
	if e := u.early; e != nil {
		select {
		case <-e.over:
		case <-ctx.Done():
			return ctx.Err()
		}
		if e.err != nil {
			// Once more, now with the caller waiting: as long as this fails the file does not grow.
			if err := u.settleEarly(ctx, t.store); err != nil {
				return err
			}
		}
		u.early = nil
	}
	e := &earlyPart{blob: u.blob, over: make(chan struct{})}
	u.early, u.blob = e, newBlob(t.memory)
	u.cuts++
	p.start(func(ctx context.Context) {
		defer close(e.over)
		e.err = u.sendEarly(ctx, t.store, e)
	})
	return nil
}

func (u *upload) sendEarly(ctx context.Context, st store, e *earlyPart) (err error) {
	if u.id == "" {
		if u.id, err = st.create(ctx, u.key, metadata{}); err != nil {
			return err
		}
	}
	tag, err := st.part(ctx, u.key, u.id, int32(len(u.tags)+1), e.blob.reader(0, e.blob.size()), e.blob.size())
	if err != nil {
		return err
	}
	u.tags = append(u.tags, tag)
	e.blob.release()
	return nil
}

// settleEarly waits for the early part, and sends it again if that failed.
func (u *upload) settleEarly(ctx context.Context, st store) error {
	e := u.early
	if e == nil {
		return nil
	}
	select {
	case <-e.over:
	case <-ctx.Done():
		return ctx.Err()
	}
	if e.err != nil {
		if err := u.sendEarly(ctx, st, e); err != nil {
			return err
		}
	}
	u.early = nil
	return nil
}
