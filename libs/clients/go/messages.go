package sesior

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"sesior/internal/broadcastpb"
	"sesior/internal/sessionpb"
)

// Ref names a session.
type Ref struct {
	id, cookie string
	byCookie   bool
}

// ID names a session by its id, which is a secret.
func ID(id string) Ref { return Ref{id: id} }

// Cookie names a session by the value of a request's Cookie header; the signature is checked.
func Cookie(header string) Ref { return Ref{cookie: header, byCookie: true} }

func (r Ref) message() *sessionpb.SessionRef {
	if r.byCookie {
		return &sessionpb.SessionRef{By: &sessionpb.SessionRef_CookieHeader{CookieHeader: r.cookie}}
	}
	return &sessionpb.SessionRef{By: &sessionpb.SessionRef_SessionId{SessionId: r.id}}
}

// Session as it was when it was read.
type Session struct {
	ID                 string // a secret: it belongs in no log
	DataJSON           string // the record without its member cookie, as its writers wrote it
	UserID             string // empty: none
	Etag               string // says "same or not"
	Revision           uint64 // grows with every write
	Handle             string // what users may be shown in place of the id
	CreateTime         time.Time
	ExpireTime         time.Time // zero: never by idling
	AbsoluteExpireTime time.Time // zero: no absolute limit
	ForeignWriter      bool      // the last write was not made through SESIOR
}

// Decode reads the data into a struct or a map, as json.Unmarshal.
func (s *Session) Decode(into any) error { return json.Unmarshal([]byte(s.DataJSON), into) }

// Ref names this session.
func (s *Session) Ref() Ref { return ID(s.ID) }

// Listed is a session as its user may see it in a list: without id and data.
type Listed struct {
	Handle             string // stands for the id
	CreateTime         time.Time
	LastSeenTime       time.Time
	ExpireTime         time.Time // zero: never by idling
	AbsoluteExpireTime time.Time // zero: no absolute limit
	Device             Device
	IsCurrent          bool // the one that asks
}

// Device is where a session is used from.
type Device struct{ Address, UserAgent, Label string }

func listedOf(message *sessionpb.Session, currentHandle string) Listed {
	device := message.GetDevice()
	return Listed{
		Handle: message.GetHandle(), CreateTime: timeOf(message.GetCreateTime()),
		LastSeenTime: timeOf(message.GetLastSeenTime()), ExpireTime: timeOf(message.GetExpireTime()),
		AbsoluteExpireTime: timeOf(message.GetAbsoluteExpireTime()),
		Device:             Device{Address: device.GetAddress(), UserAgent: device.GetUserAgent(), Label: device.GetLabel()},
		IsCurrent:          currentHandle != "" && message.GetHandle() == currentHandle,
	}
}

// Verdict on a cookie: "valid", "absent", "malformed", "forged" or "unknown".
type Verdict string

const (
	Valid     Verdict = "valid"
	Absent    Verdict = "absent"
	Malformed Verdict = "malformed"
	Forged    Verdict = "forged"
	Unknown   Verdict = "unknown" // well signed, but there is no such session
)

// EndReason says why a session ended, or why it gets a new id: "logout", "login", "rotation", "revoked", "banned",
// "expired", "erased", "limit".
type EndReason string

// Claim makes a value belong to one session; see sesior.session.v1.Claim.
type Claim struct{ Namespace, Value, Member string }

func claimsOf(claims []Claim) []*sessionpb.Claim {
	messages := make([]*sessionpb.Claim, 0, len(claims))
	for _, claim := range claims {
		messages = append(messages, &sessionpb.Claim{Namespace: claim.Namespace, Value: claim.Value, Member: claim.Member})
	}
	return messages
}

// Written is a session after a write.
type Written struct {
	Session   *Session
	SetCookie string    // a Set-Cookie value that is due, or empty
	Previous  []*string // for each claim of the request the value that was held before; nil: none
}

func writtenOf(session *sessionpb.Session, setCookie string, claims []*sessionpb.ClaimResult) *Written {
	written := &Written{Session: sessionOf(session), SetCookie: setCookie}
	for _, claim := range claims {
		written.Previous = append(written.Previous, claim.PreviousValue)
	}
	return written
}

func timeOf(stamp *timestamppb.Timestamp) time.Time {
	if stamp == nil {
		return time.Time{}
	}
	return stamp.AsTime()
}

func durationOf(duration time.Duration) *durationpb.Duration {
	if duration == 0 {
		return nil
	}
	return durationpb.New(duration)
}

func sessionOf(message *sessionpb.Session) *Session {
	if message == nil {
		return nil
	}
	return &Session{
		ID: message.GetSessionId(), DataJSON: message.GetDataJson(), UserID: message.GetUserId(), Etag: message.GetEtag(),
		Revision: message.GetRevision(), Handle: message.GetHandle(), CreateTime: timeOf(message.GetCreateTime()),
		ExpireTime: timeOf(message.GetExpireTime()), AbsoluteExpireTime: timeOf(message.GetAbsoluteExpireTime()),
		ForeignWriter: message.GetForeignWriter(),
	}
}

// END_REASON_LOGOUT -> "logout"
func wordOf(name, prefix string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, prefix)), "_", "-")
}

func reasonOf(reason, fallback EndReason) sessionpb.EndReason {
	if reason == "" {
		reason = fallback
	}
	name := "END_REASON_" + strings.ToUpper(strings.ReplaceAll(string(reason), "-", "_"))
	return sessionpb.EndReason(sessionpb.EndReason_value[name])
}

// Unguessable; also fit to be a request id.
func newToken() string {
	var bytes [18]byte
	if _, err := rand.Read(bytes[:]); err != nil {
		panic(err) // the machine has no randomness
	}
	return base64.RawURLEncoding.EncodeToString(bytes[:])
}

func orNew(requestID string) string {
	if requestID == "" {
		return newToken()
	}
	return requestID
}

// Nothing for nil. Text that is JSON already goes in as json.RawMessage.
func jsonOf(value any) (string, error) {
	if value == nil {
		return "", nil
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", err
	}
	return strings.TrimSuffix(text.String(), "\n"), nil
}

// Bytes among the arguments are taken out of them: Socket.IO sends them beside the JSON.
func packetOf(values []any) (*broadcastpb.Packet, error) {
	packet := &broadcastpb.Packet{}
	if values == nil {
		values = []any{}
	}
	text, err := jsonOf(withoutBytes(values, packet))
	packet.ArgsJson = text
	return packet, err
}

func withoutBytes(value any, packet *broadcastpb.Packet) any {
	switch value := value.(type) {
	case []byte:
		packet.Attachments = append(packet.Attachments, value)
		return map[string]any{"_placeholder": true, "num": len(packet.Attachments) - 1}
	case []any:
		inner := make([]any, len(value))
		for i := range value {
			inner[i] = withoutBytes(value[i], packet)
		}
		return inner
	case map[string]any:
		inner := make(map[string]any, len(value))
		for name := range value {
			inner[name] = withoutBytes(value[name], packet)
		}
		return inner
	}
	return value
}
