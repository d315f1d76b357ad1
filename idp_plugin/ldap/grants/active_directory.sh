domain='@suffix@'
people='@people@'
account='@account@'

samba-tool user create "$account" --random-password --description='Account recovery gateway'
samba-tool user setexpiry "$account" --noexpiry

id=$(samba-tool user show "$account" --attributes=objectSid | sed -n 's/^objectSid: //p')
person='bf967aba-0de6-11d0-a285-00aa003049e2'
reset_password='00299570-246d-11d0-a768-00aa006e0529'
lockout_time='28630ebf-41d5-11d1-a9c1-0000f80367c1'
password_last_set='bf967a0a-0de6-11d0-a285-00aa003049e2'
unexpire_password='ccc2dc7d-a6ad-4a7a-8846-c04e3cc53501'

samba-tool dsacl set --objectdn="$people" --sddl="(OA;CIIO;CR;$reset_password;$person;$id)(OA;CIIO;WP;$lockout_time;$person;$id)(OA;CIIO;WP;$password_last_set;$person;$id)"
samba-tool dsacl set --objectdn="$domain" --sddl="(OA;;CR;$unexpire_password;;$id)"
samba-tool dsacl set --objectdn="CN=Password Settings Container,CN=System,$domain" --sddl="(A;CI;LCRPLORC;;;$id)"
