package log

import "context"

// AppendOptions qualifies an append.
type AppendOptions struct {
	// CheckRecords decodes every record, compressed or not, and checks it
	// against the header: for producers that are not trusted. Without it only
	// headers and checksums are checked, except on compacted topics, whose
	// records must have keys.
	CheckRecords bool
}

// AppendResult is where an append went.
type AppendResult struct {
	BaseOffset  int64 // of the first record
	LastOffset  int64 // of the last record
	AppendTime  int64 // ms since 1970 for LogAppendTime topics, otherwise -1
	LogStart    int64 // the partition's first offset
	LeaderEpoch int32
	// Duplicate tells that a producer sent a batch again that is in the log
	// already; the offsets are those of the first time.
	Duplicate bool
}

// Pending is an append that is written but perhaps not durable yet. Its Result
// is final unless Wait fails.
type Pending struct {
	Result AppendResult
}

// Done is closed when the append is durable under the topic's durability, or
// has failed.
func (a *Pending) Done() <-chan struct{} { return nil }

// Err is nil once Done is closed and the append is durable; before that it is
// meaningless.
func (a *Pending) Err() error { return errStub }

// Wait waits for Done. It returns early, with the context's error, when ctx
// ends; the append may still become durable.
func (a *Pending) Wait(ctx context.Context) error { return errStub }

// Append writes batches and waits until they are durable under the topic's
// durability: Begin and Wait in one.
func (p *Partition) Append(ctx context.Context, batches []byte, o AppendOptions) (AppendResult, error) {
	return AppendResult{}, errStub
}

// Begin checks one or several record batches v2, gives them the next offsets
// and the leader epoch, writes them and returns; Pending tells when they are
// durable. All batches are appended or none. Offsets are given in the order of
// the calls. The bytes are changed in place and are the caller's again when
// Begin returns.
//
// Errors leave nothing behind: ErrCorruptBatch, ErrUnsupportedFormat,
// ErrInvalidRecord, ErrInvalidTimestamp, ErrMessageTooLarge,
// ErrOutOfOrderSequence, ErrInvalidProducerEpoch, ErrTransactional,
// ErrNoSpace, ErrStorage, ErrUnknownTopic, ErrClosed.
func (p *Partition) Begin(batches []byte, o AppendOptions) (*Pending, error) { return nil, errStub }
