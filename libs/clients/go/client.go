package sesior

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"time"

	"sesior/internal/broadcastpb"
	"sesior/internal/presencepb"
	"sesior/internal/sessionpb"
)

const (
	readBatch = 100
	listPage  = 200
	// Where the context says nothing: as the protos say.
	listTimeout    = 5 * time.Second
	endUserTimeout = 10 * time.Second
)

// Options of a client.
type Options struct {
	Addresses []string               // host:port of the session replicas
	TLS       *tls.Config            // nil: no TLS; Certificates holds the client's own
	Token     func() (string, error) // the bearer token, asked for each call; nil: none
	Timeout   time.Duration          // of a call with all its retries, where its context has no deadline; zero: 2 s
	MaxTries  int                    // of a call that answers UNAVAILABLE; zero: 5
}

// FixedToken is a token that never changes.
func FixedToken(token string) func() (string, error) {
	return func() (string, error) { return token, nil }
}

// TokenFile reads the token from a file for each call, so that it can be replaced without a restart.
func TokenFile(path string) func() (string, error) {
	return func() (string, error) {
		text, err := os.ReadFile(path)
		return strings.TrimSpace(string(text)), err
	}
}

func checked(options Options) (Options, error) {
	if len(options.Addresses) == 0 {
		return options, errors.New("sesior: Addresses: at least one host:port")
	}
	for _, address := range options.Addresses {
		if address == "" {
			return options, errors.New("sesior: Addresses: one is empty")
		}
	}
	if options.Timeout == 0 {
		options.Timeout = 2 * time.Second
	}
	if options.MaxTries == 0 {
		options.MaxTries = 5
	}
	if options.TLS != nil {
		options.TLS = options.TLS.Clone()
		if options.TLS.MinVersion == 0 {
			options.TLS.MinVersion = tls.VersionTLS12
		}
	}
	return options, nil
}

// Client of the session service. Safe for concurrent use. A call that the service answers fails with an *Error;
// UNAVAILABLE is retried, nothing else, and never means "logged out".
type Client struct {
	channels *channels
	mutex    sync.Mutex
	watches  map[*Watch]struct{}
	closed   bool
}

// Open makes a client; it connects when it is used.
func Open(options Options) (*Client, error) {
	options, err := checked(options)
	if err != nil {
		return nil, err
	}
	channels, err := openChannels(options)
	if err != nil {
		return nil, err
	}
	return &Client{channels: channels, watches: map[*Watch]struct{}{}}, nil
}

// Close makes calls under way fail, and ends watches.
func (c *Client) Close() error {
	c.mutex.Lock()
	c.closed = true
	watches := make([]*Watch, 0, len(c.watches))
	for watch := range c.watches {
		watches = append(watches, watch)
	}
	c.mutex.Unlock()
	for _, watch := range watches {
		watch.Close()
	}
	return c.channels.close()
}

// Resolved is the verdict on a request's cookie.
type Resolved struct {
	Verdict   Verdict
	Session   *Session // with Valid only
	SetCookie string   // a Set-Cookie value that is due, or empty
}

// ResolveCookie judges the Cookie header of a request as Express would; touch renews the idle limit.
func (c *Client) ResolveCookie(ctx context.Context, header string, touch bool) (*Resolved, error) {
	var response *sessionpb.ResolveCookieResponse
	err := c.channels.call(ctx, "ResolveCookie", func(ctx context.Context, p *place) (err error) {
		response, err = p.sessions.ResolveCookie(ctx, &sessionpb.ResolveCookieRequest{CookieHeader: header, Touch: touch})
		return err
	})
	if err != nil {
		return nil, err
	}
	verdict := Verdict(wordOf(response.GetVerdict().String(), "COOKIE_VERDICT_"))
	return &Resolved{Verdict: verdict, Session: sessionOf(response.GetSession()), SetCookie: response.GetSetCookie()}, nil
}

// Session reads one; ErrNotFound: there is none.
func (c *Client) Session(ctx context.Context, session Ref) (*Session, error) {
	var response *sessionpb.GetSessionResponse
	err := c.channels.call(ctx, "GetSession", func(ctx context.Context, p *place) (err error) {
		response, err = p.sessions.GetSession(ctx, &sessionpb.GetSessionRequest{Session: session.message()})
		return err
	})
	if err != nil {
		return nil, err
	}
	return sessionOf(response.GetSession()), nil
}

// Sessions reads any number of them, a hundred a call; those that are not there are left out.
func (c *Client) Sessions(ctx context.Context, ids ...string) (map[string]*Session, error) {
	found := make(map[string]*Session, len(ids))
	for at := 0; at < len(ids); at += readBatch {
		end := at + readBatch
		if end > len(ids) {
			end = len(ids)
		}
		var response *sessionpb.BatchGetSessionsResponse
		err := c.channels.call(ctx, "BatchGetSessions", func(ctx context.Context, p *place) (err error) {
			response, err = p.sessions.BatchGetSessions(ctx, &sessionpb.BatchGetSessionsRequest{SessionIds: ids[at:end]})
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, message := range response.GetSessions() {
			found[message.GetSessionId()] = sessionOf(message)
		}
	}
	return found, nil
}

// Create says what a new session is like. Data is what json.Marshal makes an object of, or nil.
type Create struct {
	Data        any
	UserID      string
	IdleTTL     time.Duration // zero: the service's own
	AbsoluteTTL time.Duration // zero: the service's own
	Claims      []Claim
	RequestID   string // empty: a new one; the same again within 60 s changes nothing more
}

// CreateSession makes a session under a new id.
func (c *Client) CreateSession(ctx context.Context, with Create) (*Written, error) {
	data, err := jsonOf(with.Data)
	if err != nil {
		return nil, err
	}
	request := &sessionpb.CreateSessionRequest{
		DataJson: data, UserId: with.UserID, IdleTtl: durationOf(with.IdleTTL), AbsoluteTtl: durationOf(with.AbsoluteTTL),
		Claims: claimsOf(with.Claims), RequestId: orNew(with.RequestID),
	}
	var response *sessionpb.CreateSessionResponse
	err = c.channels.call(ctx, "CreateSession", func(ctx context.Context, p *place) (err error) {
		response, err = p.sessions.CreateSession(ctx, request)
		return err
	})
	if err != nil {
		return nil, err
	}
	return writtenOf(response.GetSession(), response.GetSetCookie(), response.GetClaims()), nil
}

// Update says how a session changes. Patch is a JSON merge patch, made by json.Marshal: nil in a map deletes.
type Update struct {
	Patch     any
	Etag      string // only if this still holds, else ErrConflict
	Claims    []Claim
	Touch     bool
	RequestID string // as in Create
}

// UpdateSession changes the members that are named, on top of whatever is stored by then.
func (c *Client) UpdateSession(ctx context.Context, session Ref, with Update) (*Written, error) {
	patch, err := jsonOf(with.Patch)
	if err != nil {
		return nil, err
	}
	request := &sessionpb.UpdateSessionRequest{
		Session: session.message(), MergePatchJson: patch, Etag: with.Etag, Claims: claimsOf(with.Claims), Touch: with.Touch,
		RequestId: orNew(with.RequestID),
	}
	var response *sessionpb.UpdateSessionResponse
	err = c.channels.call(ctx, "UpdateSession", func(ctx context.Context, p *place) (err error) {
		response, err = p.sessions.UpdateSession(ctx, request)
		return err
	})
	if err != nil {
		return nil, err
	}
	return writtenOf(response.GetSession(), response.GetSetCookie(), response.GetClaims()), nil
}

// TouchSession renews the idle limit; false: it was renewed a moment ago.
func (c *Client) TouchSession(ctx context.Context, session Ref) (bool, error) {
	var response *sessionpb.TouchSessionResponse
	err := c.channels.call(ctx, "TouchSession", func(ctx context.Context, p *place) (err error) {
		response, err = p.sessions.TouchSession(ctx, &sessionpb.TouchSessionRequest{Session: session.message()})
		return err
	})
	return response.GetTouched(), err
}

// Regenerate says what a session is like under its new id.
type Regenerate struct {
	Reason    EndReason // empty: login; the sockets of the old id end, unless it is rotation
	DropData  bool      // begin empty
	Patch     any       // on top of the data that is kept
	Etag      string
	Claims    []Claim
	UserID    string // empty: as before
	RequestID string // as in Create
}

// RegenerateSession gives a session a new id; at login, and at every gain of privilege.
func (c *Client) RegenerateSession(ctx context.Context, session Ref, with Regenerate) (*Written, error) {
	patch, err := jsonOf(with.Patch)
	if err != nil {
		return nil, err
	}
	request := &sessionpb.RegenerateSessionRequest{
		Session: session.message(), Reason: reasonOf(with.Reason, "login"), KeepData: !with.DropData, MergePatchJson: patch,
		Etag: with.Etag, Claims: claimsOf(with.Claims), UserId: with.UserID, RequestId: orNew(with.RequestID),
	}
	var response *sessionpb.RegenerateSessionResponse
	err = c.channels.call(ctx, "RegenerateSession", func(ctx context.Context, p *place) (err error) {
		response, err = p.sessions.RegenerateSession(ctx, request)
		return err
	})
	if err != nil {
		return nil, err
	}
	return writtenOf(response.GetSession(), response.GetSetCookie(), response.GetClaims()), nil
}

// DestroySession ends a session and its sockets everywhere; an empty reason is logout. False: there was none.
func (c *Client) DestroySession(ctx context.Context, session Ref, reason EndReason) (bool, error) {
	request := &sessionpb.DestroySessionRequest{Session: session.message(), Reason: reasonOf(reason, "logout"), RequestId: newToken()}
	var response *sessionpb.DestroySessionResponse
	err := c.channels.call(ctx, "DestroySession", func(ctx context.Context, p *place) (err error) {
		response, err = p.sessions.DestroySession(ctx, request)
		return err
	})
	return response.GetDestroyed(), err
}

// User names a user, whose sessions are meant, by its id or by a session of it: the one that asks. One of the two.
type User struct {
	ID     string
	Caller *Ref
}

func (u User) caller() *sessionpb.SessionRef {
	if u.Caller == nil {
		return nil
	}
	return u.Caller.message()
}

func withDefault(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, timeout)
}

// ListSessions tells of all sessions of a user, newest first.
func (c *Client) ListSessions(ctx context.Context, user User) ([]Listed, error) {
	ctx, cancel := withDefault(ctx, listTimeout)
	defer cancel()
	listed := []Listed{}
	for token := ""; ; {
		request := &sessionpb.ListSessionsRequest{UserId: user.ID, Caller: user.caller(), PageSize: listPage, PageToken: token}
		var response *sessionpb.ListSessionsResponse
		err := c.channels.call(ctx, "ListSessions", func(ctx context.Context, p *place) (err error) {
			response, err = p.sessions.ListSessions(ctx, request)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, message := range response.GetSessions() {
			listed = append(listed, listedOf(message, response.GetCurrentHandle()))
		}
		if token = response.GetNextPageToken(); token == "" {
			return listed, nil
		}
	}
}

// End says which sessions of a user end; the zero value: all.
type End struct {
	Handle       string    // only the one with this handle
	ExceptID     string    // all but this one
	ExceptCaller bool      // all but the one that asks
	Reason       EndReason // empty: revoked
}

// EndUserSessions says how many have ended.
func (c *Client) EndUserSessions(ctx context.Context, user User, which End) (int, error) {
	ctx, cancel := withDefault(ctx, endUserTimeout)
	defer cancel()
	request := &sessionpb.DestroyUserSessionsRequest{
		UserId: user.ID, Caller: user.caller(), Handle: which.Handle, ExceptSessionId: which.ExceptID,
		ExceptCaller: which.ExceptCaller, Reason: reasonOf(which.Reason, "revoked"),
	}
	var response *sessionpb.DestroyUserSessionsResponse
	err := c.channels.call(ctx, "DestroyUserSessions", func(ctx context.Context, p *place) (err error) {
		response, err = p.sessions.DestroyUserSessions(ctx, request)
		return err
	})
	return int(response.GetDestroyedCount()), err
}

// Position is the number of a broadcast in its namespace.
type Position struct {
	Namespace, Epoch string
	Offset           uint64
}

func positionOf(message *broadcastpb.Position) Position {
	return Position{Namespace: message.GetNamespace(), Epoch: message.GetEpoch(), Offset: message.GetOffset()}
}

// To says who gets a broadcast; the zero value: everybody in the namespace "/".
type To struct {
	Namespace string // empty: "/"
	Rooms     []string
	Except    []string
	Volatile  bool   // dropped where it cannot be sent at once
	RequestID string // as in Create
}

// Publish sends an event to Socket.IO clients on every realtime replica; arguments may hold []byte, also inside []any
// and map[string]any.
func (c *Client) Publish(ctx context.Context, to To, event string, args ...any) (Position, error) {
	packet, err := packetOf(append([]any{event}, args...))
	if err != nil {
		return Position{}, err
	}
	namespace := to.Namespace
	if namespace == "" {
		namespace = "/"
	}
	request := &broadcastpb.PublishRequest{RequestId: orNew(to.RequestID), Broadcast: &broadcastpb.Broadcast{
		Namespace: namespace, Rooms: to.Rooms, Except: to.Except, Volatile: to.Volatile, Packet: packet,
	}}
	var response *broadcastpb.PublishResponse
	err = c.channels.call(ctx, "Publish", func(ctx context.Context, p *place) (err error) {
		response, err = p.broadcasts.Publish(ctx, request)
		return err
	})
	return positionOf(response.GetPosition()), err
}

// Whom says who gets an event: all sockets of these users, of these sessions and in these rooms; the zero value: everybody
// in the namespace "/".
type Whom struct {
	Namespace  string // empty: "/"
	UserIDs    []string
	SessionIDs []string
	Rooms      []string
	Except     []string // rooms
	RequestID  string   // as in Create
}

// Emit sends an event, as Publish, to users and sessions.
func (c *Client) Emit(ctx context.Context, whom Whom, event string, args ...any) (Position, error) {
	packet, err := packetOf(args)
	if err != nil {
		return Position{}, err
	}
	request := &broadcastpb.EmitRequest{
		Namespace: whom.Namespace, Event: event, ArgsJson: packet.GetArgsJson(), Attachments: packet.GetAttachments(), Rooms: whom.Rooms,
		UserIds: whom.UserIDs, SessionIds: whom.SessionIDs, Except: whom.Except, RequestId: orNew(whom.RequestID),
	}
	var response *broadcastpb.EmitResponse
	err = c.channels.call(ctx, "Emit", func(ctx context.Context, p *place) (err error) {
		response, err = p.broadcasts.Emit(ctx, request)
		return err
	})
	return positionOf(response.GetPosition()), err
}

// Online is somebody who is.
type Online struct {
	Key   string
	Value json.RawMessage
	Since time.Time
}

// List says which of those who are online are listed, at most 1,000.
type List struct {
	Namespace   string // empty: "/"
	NewestFirst bool   // else by key
	After       string // by key: those behind this one
	Limit       int    // zero: 1,000
}

// ListOnline also says how many there are in all.
func (c *Client) ListOnline(ctx context.Context, list List) (listed []Online, total int64, err error) {
	request := &presencepb.ListOnlineRequest{Namespace: list.Namespace, After: list.After, Limit: int32(list.Limit), Order: presencepb.OnlineOrder_ONLINE_ORDER_BY_KEY}
	if list.Namespace == "" {
		request.Namespace = "/"
	}
	if list.NewestFirst {
		request.Order = presencepb.OnlineOrder_ONLINE_ORDER_NEWEST
	}
	var response *presencepb.ListOnlineResponse
	err = c.channels.call(ctx, "ListOnline", func(ctx context.Context, p *place) (err error) {
		response, err = p.presence.ListOnline(ctx, request)
		return err
	})
	for _, entry := range response.GetEntries() {
		listed = append(listed, Online{Key: entry.GetKey(), Value: json.RawMessage(entry.GetValueJson()), Since: timeOf(entry.GetSince())})
	}
	return listed, response.GetTotalCount(), err
}

// Health says of each address whether it serves.
func (c *Client) Health(ctx context.Context) map[string]bool { return c.channels.healthOf(ctx) }

// Watch tells of every change of these sessions until ctx ends or it is closed; more can be added.
func (c *Client) Watch(ctx context.Context, sessions ...Ref) *Watch {
	watch := newWatch(ctx, c.channels)
	watch.Add(sessions...)
	c.mutex.Lock()
	closed := c.closed
	if !closed {
		c.watches[watch] = struct{}{}
	}
	c.mutex.Unlock()
	go func() {
		watch.run()
		c.mutex.Lock()
		delete(c.watches, watch)
		c.mutex.Unlock()
	}()
	if closed {
		watch.Close()
	}
	return watch
}
