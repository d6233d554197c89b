package s3

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicehub/sluice/connectors"
)

// upload is one object on its way: first its bytes are collected, by the task's goroutine; then they are sent, by the
// goroutine of its rotation. In between, a large file may send parts early. What was sent is not sent again when the
// upload is tried again after a failure.
type upload struct {
	key    string
	format format
	schema *connectors.Schema
	layout layout
	blob   *blob

	packed bool
	done   bool
	id     string   // of the upload in parts, "" while there is none
	tags   []string // of the parts that were sent
	sent   int64    // bytes of blob that are in parts

	early *earlyPart // the part sent before the file was finished, nil if there is none
	cuts  int        // how many parts were, whose bytes are not here any more
}

// write takes the bytes of a record.
func (u *upload) write(record []byte) { u.layout.write(u.blob, record) }

// finish sends what is left of a packed file and makes the object visible. It is called again after it failed.
func (u *upload) finish(ctx context.Context, st store, partSize int64, about metadata, ifAbsent bool) error {
	if u.done {
		return nil
	}
	err := u.send(ctx, st, partSize, about, ifAbsent)
	if u.vanished(err) {
		u.id, u.tags, u.sent = "", nil, 0
		err = u.send(ctx, st, partSize, about, ifAbsent)
	}
	if errors.Is(err, errExists) {
		var again bool
		if again, err = u.same(ctx, st, about); again {
			err = u.send(ctx, st, partSize, about, false)
		}
	}
	if err != nil {
		return err
	}
	u.done = true
	u.blob.release()
	return nil
}

// pack makes the contents of the object out of what was collected.
func (u *upload) pack() error {
	u.layout.end(u.blob)
	if u.format.packs() {
		out := &output{newBlob(u.blob.memory)}
		if err := u.format.pack(u.key, u.schema, u.blob.reader(0, u.blob.size()), out); err != nil {
			out.release()
			if mine := (*connectors.Error)(nil); errors.As(err, &mine) {
				return mine
			}
			return fmt.Errorf("write the contents of object %s: %w", u.key, err)
		}
		u.blob.release()
		u.blob = out.blob
	}
	u.packed = true
	return nil
}

func (u *upload) send(ctx context.Context, st store, partSize int64, about metadata, ifAbsent bool) (err error) {
	if u.id == "" && u.blob.size() <= partSize {
		return st.put(ctx, u.key, u.blob.reader(0, u.blob.size()), u.blob.size(), about, ifAbsent)
	}
	if u.id == "" {
		if u.id, err = st.create(ctx, u.key, about); err != nil {
			return err
		}
	}
	for u.sent < u.blob.size() {
		to := min(u.sent+partSize, u.blob.size())
		tag, err := st.part(ctx, u.key, u.id, int32(len(u.tags)+1), u.blob.reader(u.sent, to), to-u.sent)
		if err != nil {
			return err
		}
		u.tags, u.sent = append(u.tags, tag), to
	}
	return st.complete(ctx, u.key, u.id, u.tags, ifAbsent)
}

// vanished reports whether the server does not know the upload in parts any more, and all of it can be sent again. A
// first request to complete it may have done so, with an answer that got lost; or somebody has cleared up.
func (u *upload) vanished(err error) bool {
	_, code, _ := answer(err)
	return code == "NoSuchUpload" && u.cuts == 0
}

// same is asked when there is an object already where there should be none. If it is of the same records it is what
// this task wrote, with an answer that got lost. If it says nothing of its records no task wrote it, or the server died
// before it had written all (some servers keep metadata apart from contents): then it is to be overwritten. In any other
// case another task has the partition.
func (u *upload) same(ctx context.Context, st store, about metadata) (again bool, err error) {
	there, found, err := st.head(ctx, u.key)
	if err != nil {
		return false, err
	}
	if found && there == about {
		u.drop(ctx, st)
		return false, nil
	}
	if !found || there.end == 0 {
		return true, nil
	}
	return false, &connectors.Error{Op: "put object " + u.key, Class: connectors.ClassEnvironment,
		Err: fmt.Errorf("another writer has made it meanwhile, of the records from %d to %d where this task has %d to %d",
			there.start, there.end, about.start, about.end),
		Remedy: "none needed if partitions were just moved between tasks: the task starts again from its last position; otherwise give " +
			"each connector that writes this topic its own topics.dir"}
}

// abort ends an unfinished upload and gives its memory back. Nothing of it stays visible.
func (u *upload) abort(ctx context.Context, st store) error {
	u.blob.release()
	if u.early != nil {
		u.early.blob.release()
		u.early = nil
	}
	if u.done {
		return nil
	}
	return u.drop(ctx, st)
}

// drop removes the parts that were sent.
func (u *upload) drop(ctx context.Context, st store) error {
	if u.id == "" {
		return nil
	}
	id := u.id
	u.id = ""
	return st.abort(ctx, u.key, id)
}
