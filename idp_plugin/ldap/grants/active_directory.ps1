$domain  = '@suffix@'
$people  = '@people@'
$account = '@account@'

New-ADUser $account -Description 'Account recovery gateway' -PasswordNeverExpires $true -Enabled $true `
  -AccountPassword (Read-Host -AsSecureString 'Password')

$id                = (Get-ADUser $account).SID.Value
$person            = 'bf967aba-0de6-11d0-a285-00aa003049e2'
$reset_password    = '00299570-246d-11d0-a768-00aa006e0529'
$lockout_time      = '28630ebf-41d5-11d1-a9c1-0000f80367c1'
$password_last_set = 'bf967a0a-0de6-11d0-a285-00aa003049e2'
$unexpire_password = 'ccc2dc7d-a6ad-4a7a-8846-c04e3cc53501'

function Add-Entries([string] $dn, [string] $sddl) {
  $acl = Get-Acl "AD:$dn"
  $own = $acl.GetSecurityDescriptorSddlForm('Access')
  $acl.SetSecurityDescriptorSddlForm($own + $sddl, 'Access')
  Set-Acl "AD:$dn" $acl
}
Add-Entries $people "(OA;CIIO;CR;$reset_password;$person;$id)(OA;CIIO;WP;$lockout_time;$person;$id)(OA;CIIO;WP;$password_last_set;$person;$id)"
Add-Entries $domain "(OA;;CR;$unexpire_password;;$id)"
Add-Entries "CN=Password Settings Container,CN=System,$domain" "(A;CI;LCRPLORC;;;$id)"
