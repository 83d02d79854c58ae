package sesior

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sesior/internal/sessionpb"
)

const (
	longestWatchPause = 5 * time.Second
	addBatch          = 1000
)

// Kind of a Change. Each session has one Current or Refused, then Updated and Touched, at last Ended.
type Kind string

const (
	Current Kind = "current"
	Updated Kind = "updated"
	Touched Kind = "touched" // only its ExpireTime has moved
	Ended   Kind = "ended"   // destroyed, expired, or replaced by another id: it is watched no longer
	Refused Kind = "refused" // there is no such session, or the cookie is not good: it is not watched
)

// Change of a watched session.
type Change struct {
	Kind    Kind
	Ref     Ref       // as it was added
	Session *Session  // unless Ended or Refused
	Reason  EndReason // with Ended
	Verdict Verdict   // with Refused
}

type watched struct {
	ref      Ref
	revision uint64
	answered bool
}

// Watch tells of changes on a channel; only the newest state of each session waits there. A broken stream is opened
// again, on another replica where there is one: what changed meanwhile comes as Updated or Ended. Safe for concurrent use.
type Watch struct {
	channels *channels
	ctx      context.Context
	cancel   context.CancelFunc
	changes  chan Change
	wake     chan struct{} // one place: something waits, or the last has come

	mutex   sync.Mutex
	serial  uint64
	watched map[uint64]*watched
	stream  sessionpb.SessionService_WatchSessionsClient // nil while there is none
	waiting map[uint64]Change
	order   []uint64 // the keys of waiting, oldest first
	err     error    // what does not mend itself

	sending sync.Mutex // a stream has one sender at a time; taken before mutex, where both are
}

func newWatch(ctx context.Context, channels *channels) *Watch {
	ctx, cancel := context.WithCancel(ctx)
	return &Watch{
		channels: channels, ctx: ctx, cancel: cancel, changes: make(chan Change), wake: make(chan struct{}, 1),
		watched: map[uint64]*watched{}, waiting: map[uint64]Change{},
	}
}

// Changes is closed when the watch has ended; Err says why.
func (w *Watch) Changes() <-chan Change { return w.changes }

// Err is what ended the watch, once Changes is closed: nil after Close or the end of its context.
func (w *Watch) Err() error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.err
}

// Close ends the watch. What waits is dropped.
func (w *Watch) Close() { w.cancel() }

// Add watches more sessions.
func (w *Watch) Add(sessions ...Ref) {
	w.mutex.Lock()
	ids := make([]uint64, 0, len(sessions))
	for _, session := range sessions {
		w.serial++
		w.watched[w.serial] = &watched{ref: session}
		ids = append(ids, w.serial)
	}
	stream, requests := w.stream, w.requestsFor(ids)
	w.mutex.Unlock()
	w.send(stream, requests...)
}

// Remove watches these no longer.
func (w *Watch) Remove(sessions ...Ref) {
	gone := make(map[Ref]bool, len(sessions))
	for _, session := range sessions {
		gone[session] = true
	}
	w.mutex.Lock()
	request := &sessionpb.WatchSessionsRequest{}
	for id, watched := range w.watched {
		if gone[watched.ref] {
			delete(w.watched, id)
			delete(w.waiting, id)
			request.Remove = append(request.Remove, id)
		}
	}
	stream := w.stream
	w.mutex.Unlock()
	if len(request.Remove) > 0 {
		w.send(stream, request)
	}
}

// With mutex held.
func (w *Watch) requestsFor(ids []uint64) []*sessionpb.WatchSessionsRequest {
	var requests []*sessionpb.WatchSessionsRequest
	for i, id := range ids {
		if i%addBatch == 0 {
			requests = append(requests, &sessionpb.WatchSessionsRequest{})
		}
		watched := w.watched[id]
		last := requests[len(requests)-1]
		last.Add = append(last.Add, &sessionpb.WatchSessionsRequest_Add{
			WatchId: id, Session: watched.ref.message(), KnownRevision: watched.revision,
		})
	}
	return requests
}

func (w *Watch) send(stream sessionpb.SessionService_WatchSessionsClient, requests ...*sessionpb.WatchSessionsRequest) {
	if stream == nil {
		return
	}
	w.sending.Lock()
	defer w.sending.Unlock()
	sendAll(stream, requests)
}

// A stream that fails says so to its reader, who opens another and sends the whole list.
func sendAll(stream sessionpb.SessionService_WatchSessionsClient, requests []*sessionpb.WatchSessionsRequest) {
	for _, request := range requests {
		if stream.Send(request) != nil {
			return
		}
	}
}

// Until the watch ends.
func (w *Watch) run() {
	delivered := make(chan struct{})
	finished := make(chan struct{})
	go func() {
		defer close(delivered)
		defer close(w.changes)
		w.deliver(finished)
	}()
	err := w.follow()
	w.mutex.Lock()
	w.err = err
	w.mutex.Unlock()
	close(finished)
	<-delivered
	w.cancel()
}

// Streams, one after the other, until ctx ends (nil) or something does not mend itself.
func (w *Watch) follow() error {
	for failures := 0; ; {
		p := w.channels.pick()
		began, err := w.read(p)
		if w.ctx.Err() != nil {
			return nil
		}
		if began {
			failures = 0
		}
		if err == nil { // it was told to go elsewhere
			p.shun()
			continue
		}
		failure := fromGRPC(err, "WatchSessions")
		switch failure.Code {
		case codes.PermissionDenied, codes.Unauthenticated, codes.InvalidArgument, codes.Unimplemented:
			return failure
		}
		p.shun()
		failures++
		if !sleep(w.ctx, pauseBefore(failures, failure.RetryAfter, firstPause, longestWatchPause)) {
			return nil
		}
	}
}

// One stream, from its opening to its end; began: something was received. nil: another is to take over.
func (w *Watch) read(p *place) (began bool, err error) {
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	ctx, err = w.channels.withToken(ctx)
	if err != nil {
		return false, status.Error(codes.Unavailable, err.Error()) // a token that cannot be read now may be soon
	}
	stream, err := p.sessions.WatchSessions(ctx)
	if err != nil {
		return false, err
	}
	w.sending.Lock() // nothing overtakes the list
	w.mutex.Lock()
	ids := make([]uint64, 0, len(w.watched))
	for id := range w.watched {
		ids = append(ids, id)
	}
	w.stream = stream
	requests := w.requestsFor(ids)
	w.mutex.Unlock()
	defer func() {
		w.mutex.Lock()
		w.stream = nil
		w.mutex.Unlock()
	}()
	go func() { // beside the reading, which makes room for it
		defer w.sending.Unlock()
		sendAll(stream, requests)
	}()
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return began, status.Error(codes.Unavailable, "the stream has ended")
		}
		if err != nil {
			return began, err
		}
		began = true
		for _, event := range response.GetEvents() {
			w.take(event)
		}
		if response.GetGoAway() {
			return began, nil
		}
	}
}

func (w *Watch) take(event *sessionpb.WatchSessionsResponse_Event) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	watched := w.watched[event.GetWatchId()]
	if watched == nil {
		return
	}
	kind := Kind(wordOf(event.GetKind().String(), "WATCH_EVENT_KIND_"))
	session := sessionOf(event.GetSession())
	if kind == Current && watched.answered {
		if session == nil || session.Revision == watched.revision {
			return // nothing has changed while the stream was away
		}
		kind = Updated
	}
	if kind == Refused && watched.answered {
		kind = Ended
	}
	if session != nil && session.Revision < watched.revision {
		return // an older replica answered
	}
	watched.answered = true
	if session != nil {
		watched.revision = session.Revision
	}
	change := Change{Kind: kind, Ref: watched.ref, Session: session}
	switch kind {
	case Ended:
		change.Reason = EndReason(wordOf(event.GetReason().String(), "END_REASON_"))
		delete(w.watched, event.GetWatchId())
	case Refused:
		change.Verdict = Verdict(wordOf(event.GetVerdict().String(), "COOKIE_VERDICT_"))
		delete(w.watched, event.GetWatchId())
	}
	older, waits := w.waiting[event.GetWatchId()]
	if !waits {
		w.order = append(w.order, event.GetWatchId())
	} else if older.Kind == Current && session != nil {
		change.Kind = Current
	} else if older.Kind == Updated && kind == Touched {
		change.Kind = Updated
	}
	w.waiting[event.GetWatchId()] = change
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Until ctx ends, or finished is closed and nothing waits any more.
func (w *Watch) deliver(finished <-chan struct{}) {
	for last := false; ; {
		change, found := w.next()
		switch {
		case found:
			select {
			case w.changes <- change:
			case <-w.ctx.Done():
				return
			}
		case last:
			return
		default:
			select {
			case <-w.wake:
			case <-finished:
				last = true
			case <-w.ctx.Done():
				return
			}
		}
	}
}

func (w *Watch) next() (Change, bool) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for len(w.order) > 0 {
		id := w.order[0]
		w.order = w.order[1:]
		if change, found := w.waiting[id]; found {
			delete(w.waiting, id)
			return change, true
		}
	}
	return Change{}, false
}
